"""The page of the demo: one file, with the videos embedded."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go

from tdnet._util.percentiles import Percentiles
from tdnet_offline.evaluation import metrics
from tdnet_offline.report.figures import (
    Line,
    latency_figure,
    run_color,
    stage_color,
    stage_figure,
)
from tdnet_offline.report.page import data_url, write_page
from tools.demo.evaluation import iou_by_id
from tools.demo.session import NodeUnderTest
from tools.demo.source_report import SourceReport

# Browsers open a page with a larger embedded video slowly: the page then links the file.
MAX_EMBEDDED_BYTES = 48 * 1024 * 1024

STAGE_TEXT = {
    "wait": "arrival to start of processing",
    "convert": "message to array",
    "preprocess": "array to normalised network input",
    "network": "sub-network and attention over the memory",
    "postprocess": "labels and confidence at camera size",
    "overlay": "overlay with legend",
    "publish": "arrays to published messages",
}
TOTALS_TEXT = {
    "segmented": "labels, confidence, overlay and status published",
    "dropped": "superseded by a newer frame, so that no output is stale",
    "refused": "not usable; the reason is in the log",
    "unfinished": "in work when the run ended",
    "lost": "lost in transport, before the node",
}


@dataclass(frozen=True)
class Panel:
    """One source on the page.

    Attributes:
        report: Its results.
        video: Address of the overlay video; empty without output.
        sheet: Address of the contact sheet; empty without output.
        tiles: Value and unit of the headline numbers.
        period_ms: Milliseconds between two frames as sent; 0 for a single frame.
        stages: Median latency by stage; None without output.
        latencies: Latency of each frame over time; None without output.
    """

    report: SourceReport
    video: str
    sheet: str
    tiles: list[tuple[str, str]]
    period_ms: float
    stages: go.Figure | None
    latencies: go.Figure | None


@dataclass(frozen=True)
class ClassRow:
    """One class in the labels; `iou` is None without ground truth."""

    name: str
    color: str
    iou: float | None


def write_demo_page(output: Path, node: NodeUnderTest, reports: Sequence[SourceReport]) -> None:
    """Write ``index.html``.

    Args:
        output: Folder of the page, with a folder of results for each source.
        node: The node that segmented the sources.
        reports: Results of the sources, at least one; shown side by side.
    """
    scored = next((report for report in reports if iou_by_id(report.evaluation)), None)
    model = reports[0].session.model
    write_page(
        output / "index.html",
        Path(__file__).parent / "page.html",
        title=f"{node.variant}: {' and '.join(report.source.title for report in reports)}",
        subtitle="Semantic segmentation of a camera stream by temporally distributed networks. "
        "Every frame went through the ROS 2 node over real topics, on "
        f"{model.get('device', '')}, {model.get('precision', '')}.",
        panels=[_panel(report, output) for report in reports],
        classes=_classes(reports, scored),
        class_map=reports[0].class_map.name,
        scored=scored,
        mean_iou=_mean_iou(scored),
        stage_color=stage_color,
        stage_text=STAGE_TEXT,
        totals_text=TOTALS_TEXT,
        settings=_settings(node, reports),
        system=node.system,
        command=shlex.join(["python", *reports[0].session.command]),
    )


def _panel(report: SourceReport, output: Path) -> Panel:
    measures = report.measures
    folder = output / report.source.name
    period = 1000 / measures.input_rate if measures.input_rate else 0.0
    return Panel(
        report=report,
        video=_address(folder / "overlay.mp4", "video/mp4"),
        sheet=_address(folder / "contact_sheet.png", "image/png"),
        tiles=_tiles(report),
        period_ms=period,
        stages=_stages(measures.stages),
        latencies=_latencies(measures.totals_ms, period),
    )


def _stages(stages: Mapping[str, Percentiles]) -> go.Figure | None:
    if not stages:
        return None
    return stage_figure([("", {name: found.p50 for name, found in stages.items()})])


def _latencies(points: Sequence[tuple[float, float]], period_ms: float) -> go.Figure | None:
    if not points:
        return None
    seconds, milliseconds = zip(*points, strict=True)
    line = Line("in the node", run_color(0), seconds, milliseconds)
    return latency_figure([line], "seconds", period_ms)


def _address(path: Path, kind: str) -> str:
    """Return the embedded content of a file, or its relative path if it is large."""
    if not path.is_file():
        return ""
    if path.stat().st_size > MAX_EMBEDDED_BYTES:
        return f"{path.parent.name}/{path.name}"
    return data_url(path.read_bytes(), kind)


def _tiles(report: SourceReport) -> list[tuple[str, str]]:
    measures, totals = report.measures, report.measures.frames
    tiles = [
        (f"{totals.segmented} of {totals.sent}", f"frames segmented; {totals.dropped} dropped"),
        (f"{measures.output_rate:.1f} / s", f"outputs; {measures.input_rate:.1f} / s sent"),
    ]
    if measures.total is not None:
        tiles.append((f"{measures.total.p50:.0f} ms", "latency in the node, median"))
        tiles.append((f"{measures.total.p95:.0f} ms", "latency in the node, 95 %"))
    if report.evaluation.consistency.any():
        consistency = metrics.agreement(report.evaluation.consistency)
        tiles.append((f"{consistency:.1%}", "of pixels keep their label to the next frame"))
    confusion = metrics.total_confusion(report.evaluation)
    if confusion.any():
        tiles.append((f"{metrics.mean_iou(confusion):.1%}", "mean IoU with the exact labels"))
        tiles.append((f"{metrics.pixel_accuracy(confusion):.1%}", "of pixels correct"))
        boundary = metrics.mean_boundary_f(report.evaluation.boundary)
        tiles.append((f"{boundary:.1%}", "boundary F-score"))
    return tiles


def _classes(reports: Sequence[SourceReport], scored: SourceReport | None) -> list[ClassRow]:
    """Return the classes in any labels, and those with a score."""
    scores = iou_by_id(scored.evaluation) if scored else {}
    shown = {i for report in reports for i in report.present} | set(scores)
    class_map = reports[0].class_map
    rows = []
    for class_id in sorted(shown):
        entry = class_map.class_by_id(class_id)
        color = "rgb({}, {}, {})".format(*entry.color)
        rows.append(ClassRow(entry.name, color, scores.get(class_id)))
    return rows


def _mean_iou(report: SourceReport | None) -> float | None:
    if report is None:
        return None
    return metrics.mean_iou(metrics.total_confusion(report.evaluation))


def _settings(node: NodeUnderTest, reports: Sequence[SourceReport]) -> list[tuple[str, str]]:
    model = reports[0].session.model
    topics = {
        f"{report.source.bag.topic}{', compressed' if report.source.bag.compressed else ''}"
        for report in reports
    }
    return [
        ("Network", model.get("variant", node.variant)),
        ("Weights", Path(node.weights).name if node.weights else "packaged"),
        ("Network input", f"{model.get('input size', '')} (height x width)"),
        ("Device", model.get("device", "")),
        ("Precision", model.get("precision", "")),
        ("Class map", reports[0].class_map.name),
        ("Topic", ", ".join(sorted(topics))),
        ("Temporal memory", f"{model.get('memory of a camera MiB', '?')} MiB a camera"),
        ("Memory of the node", f"{model.get('host memory MiB', '?')} MiB"),
    ]
