"""The page that shows a run: one file that needs nothing beside it."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template

from demo.charts import STAGE_COLORS, latency_plot, stage_bar
from demo.evaluation import class_iou
from demo.report import Report
from demo.session import Session
from demo.subject import Subject
from tdnet import __version__
from tdnet_offline.evaluation import metrics

# Above this a browser takes long to open the page: the video then stays beside it.
MAX_EMBEDDED_BYTES = 48 * 1024 * 1024

_STAGE_TEXT = {
    "wait": "arrival to the start of the work",
    "convert": "message to array",
    "preprocess": "array to normalised network input",
    "network": "sub-network and attention over the memory",
    "postprocess": "labels and confidence at camera size",
    "overlay": "colours and legend drawn",
    "publish": "arrays to published messages",
}


def write_page(output: Path, subject: Subject, session: Session, report: Report) -> None:
    """Write ``index.html``.

    Args:
        output: folder of the page, with video and contact sheet in it.
        subject: what was shown.
        session: the run.
        report: its numbers.
    """
    template = Template((Path(__file__).parent / "page.html").read_text())
    model = session.model
    where = f"{model.get('device', '')}, {model.get('precision', '')}"
    page = template.substitute(
        title=f"{escape(subject.variant)} on {escape(subject.source)}",
        subtitle=(
            "Semantic segmentation of a camera stream by temporally distributed networks: "
            f"{len(session.sent)} frames through the ROS 2 node, on {escape(where)}"
        ),
        video=_video(output / "overlay.mp4"),
        figures=_figures(report),
        problems=_problems(session),
        scores=_scores(report),
        legend=_legend(report),
        sheet=_sheet(output / "contact_sheet.png"),
        latency=_latency(report),
        account=_account(session, report),
        settings=_rows(_settings(subject, session, report)),
        system=_rows(subject.system.items()),
        command=escape(shlex.join(["python", *session.command])),
        version=__version__,
    )
    (output / "index.html").write_text(page)


def _video(path: Path) -> str:
    if not path.is_file():
        return ""
    source = escape(path.name)
    if path.stat().st_size <= MAX_EMBEDDED_BYTES:
        source = _embedded(path, "video/mp4")
    return f'<video src="{source}" controls muted loop autoplay playsinline></video>'


def _embedded(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _figures(report: Report) -> str:
    measures, account = report.measures, report.measures.account
    figures = [
        (f"{account.segmented} of {account.sent}", "frames segmented"),
        (
            f"{measures.output_rate:.1f} / s",
            f"labels and overlays; sent {measures.input_rate:.1f} / s",
        ),
    ]
    if measures.total is not None:
        figures.append((f"{measures.total.p50:.0f} ms", "latency in the node, median"))
        figures.append((f"{measures.total.p95:.0f} ms", "95 % of the frames below"))
    confusion = metrics.total_confusion(report.evaluation)
    if confusion.any():
        figures.append((f"{metrics.mean_iou(confusion):.1%}", "mean IoU against the truth"))
        figures.append((f"{metrics.pixel_accuracy(confusion):.1%}", "of the pixels right"))
        outlines = metrics.mean_boundary_f(report.evaluation.boundary)
        figures.append((f"{outlines:.1%}", "boundary F-score"))
    if report.evaluation.consistency.any():
        consistency = metrics.agreement(report.evaluation.consistency)
        figures.append((f"{consistency:.1%}", "of the pixels keep their label to the next frame"))
    columns = len(figures) if len(figures) < 6 else (len(figures) + 1) // 2
    tiles = "".join(f"<div><b>{value}</b><span>{text}</span></div>" for value, text in figures)
    return f'<div class="figures" style="--columns:{columns}">{tiles}</div>'


def _problems(session: Session) -> str:
    problems = list(session.problems)
    if session.last_error:
        problems.append(session.last_error)
    if not problems:
        return ""
    lines = "".join(f"<p>{escape(problem)}</p>" for problem in problems)
    return f'<section class="card problem"><h2>What went wrong</h2>{lines}</section>'


def _scores(report: Report) -> str:
    """Bars of the classes beside the video, where the bag has labels to compare with."""
    scores = class_iou(report.evaluation)
    if not scores:
        return ""
    rows = []
    for class_id, iou in scores.items():
        entry = report.class_map.class_by_id(class_id)
        color = "rgb({}, {}, {})".format(*entry.color)
        rows.append(
            f'<tr><th><i style="background:{color}"></i>{escape(entry.name)}</th><td class="iou">'
            f'<span style="width:{iou:.1%}"></span></td><td class="n">{iou:.1%}</td></tr>'
        )
    mean = metrics.mean_iou(metrics.total_confusion(report.evaluation))
    return (
        f'<div class="scores"><h2>IoU by class</h2><table>{"".join(rows)}<tr class="sum">'
        f'<th>mean</th><td class="iou"><span style="width:{mean:.1%}"></span></td>'
        f'<td class="n">{mean:.1%}</td></tr></table></div>'
    )


def _legend(report: Report) -> str:
    """The classes of the labels, where no bars beside the video tell them."""
    if class_iou(report.evaluation) or not report.present:
        return ""
    items = []
    for class_id in report.present:
        entry = report.class_map.class_by_id(class_id)
        color = "rgb({}, {}, {})".format(*entry.color)
        items.append(f'<li><i style="background:{color}"></i>{escape(entry.name)}</li>')
    return (
        '<section class="card"><h2>Classes</h2><p class="note">Class map '
        f"{escape(report.class_map.name)}; the classes that the labels show.</p>"
        f'<ul class="legend">{"".join(items)}</ul></section>'
    )


def _sheet(path: Path) -> str:
    if not path.is_file():
        return ""
    source = _embedded(path, "image/png")
    return (
        '<section class="card"><h2>Frames</h2>'
        '<p class="note">As recorded from the topics of the node.</p>'
        f'<img class="sheet" alt="contact sheet" src="{source}"></section>'
    )


def _latency(report: Report) -> str:
    measures = report.measures
    if measures.total is None:
        return '<p class="note">No frame was segmented.</p>'
    rows = [
        f'<tr><td><span class="key" style="background:{STAGE_COLORS[name]}"></span>{name}</td>'
        f'<td class="n">{value.p50:.1f}</td><td class="n">{value.p95:.1f}</td>'
        f'<td class="w">{_STAGE_TEXT[name]}</td></tr>'
        for name, value in measures.stages.items()
    ]
    sums = [("in the node", measures.total, "arrival to the last publication")]
    if measures.end_to_end is not None:
        sums.append(
            ("end to end", measures.end_to_end, "camera publishes to overlay received, over ROS")
        )
    rows += [
        f'<tr class="sum"><td>{name}</td><td class="n">{value.p50:.1f}</td>'
        f'<td class="n">{value.p95:.1f}</td><td class="w">{text}</td></tr>'
        for name, value, text in sums
    ]
    budget = 1000 / measures.input_rate if measures.input_rate else 0.0
    plot_note = "Latency in the node of each frame, milliseconds"
    if budget:
        plot_note += f"; dashed: a new frame comes every {budget:.0f} ms"
    return (
        stage_bar({name: value.p50 for name, value in measures.stages.items()})
        + '<table><tr><th>stage</th><th class="n">p50 ms</th><th class="n">p95 ms</th>'
        f'<th class="w"></th></tr>{"".join(rows)}</table>'
        + latency_plot(measures.totals_ms, budget)
        + f'<p class="note">{plot_note}.</p>'
    )


def _account(session: Session, report: Report) -> str:
    account = report.measures.account
    parts = [
        (account.segmented, "segmented", "labels, confidence, overlay and status published"),
        (account.dropped, "dropped", "a newer frame came before their turn: never a stale result"),
        (account.refused, "refused", "could not be used; the log says why"),
        (account.unfinished, "unfinished", "still at work when the run ended"),
        (account.lost, "lost in transport", "never arrived at the node"),
    ]
    terms = " + ".join(f"{count} {name}" for count, name, _ in parts)
    rows = "".join(
        f'<tr><td>{name}</td><td class="n">{count}</td><td class="w">{text}</td></tr>'
        for count, name, text in parts
    )
    resets = ", ".join(f"{reason} ({n})" for reason, n in report.measures.resets.items())
    memory = (
        f"The temporal memory was emptied before a frame because of: {escape(resets)}."
        if resets
        else "The temporal memory was never emptied."
    )
    return (
        f'<p class="sum-line"><b>{account.sent} sent</b> = {terms}</p><table>{rows}</table>'
        f'<p class="note">{report.measures.overlays} overlays were recorded, each under the '
        f"stamp of its frame; all are in the video. {memory} The node ended with status "
        f"{session.exit_status}.</p>"
    )


def _settings(subject: Subject, session: Session, report: Report) -> Iterable[tuple[str, str]]:
    model = session.model
    return [
        ("Network", model.get("variant", subject.variant)),
        ("Weights", Path(subject.weights).name if subject.weights else "packaged"),
        ("Network input", f"{model.get('input size', '')} (height x width)"),
        ("Device", model.get("device", "")),
        ("Precision", model.get("precision", "")),
        ("Class map", report.class_map.name),
        ("Input", subject.source),
        ("Topic", f"{subject.bag.topic}{', compressed' if subject.bag.compressed else ''}"),
        ("Temporal memory", f"{model.get('memory of a camera MiB', '?')} MiB for a camera"),
        ("Memory of the node", f"{model.get('host memory MiB', '?')} MiB"),
    ]


def _rows(items: Iterable[tuple[str, str]]) -> str:
    return "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in items
    )
