"""The page of the demo: one file, with the videos embedded."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go

from tdnet_offline.report.breakdown import css_color
from tdnet_offline.report.figures import (
    Line,
    latency_figure,
    run_color,
    stage_color,
    stage_figure,
)
from tdnet_offline.report.page import data_url, write_page
from tools.demo.evaluation import iou_by_id
from tools.demo.source_report import SourceReport
from tools.harness.system_info import system_info

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
        tiles: Value and unit of the headline numbers.
        period_ms: Milliseconds between two frames as sent; 0 for a single frame.
        stages: Median latency by stage; None without output.
        latencies: Latency of each frame over time; None without output.
    """

    report: SourceReport
    video: str
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


def write_demo_page(path: Path, reports: Sequence[SourceReport]) -> None:
    """Write the page.

    Args:
        path: Its file; beside it, each source has a folder of results.
        reports: Results of the sources, at least one; shown side by side.
    """
    scored = next((report for report in reports if report.score), None)
    session = reports[0].session
    model = session.view.model
    write_page(
        path,
        Path(__file__).parent / "page.html",
        title=f"{model['variant']}: {' and '.join(report.source.title for report in reports)}",
        subtitle="Semantic segmentation of a camera stream by temporally distributed networks. "
        "Every frame went through the ROS 2 node over real topics, on "
        f"{model['device']}, {model['precision']}.",
        panels=[_panel(report) for report in reports],
        classes=_classes(reports, scored),
        class_map=reports[0].class_map.name,
        scored=scored,
        stage_color=stage_color,
        stage_text=STAGE_TEXT,
        totals_text=TOTALS_TEXT,
        data_url=data_url,
        settings=_settings(reports),
        system=system_info(),
        command=shlex.join(["python", *session.command]),
    )


def _panel(report: SourceReport) -> Panel:
    measures = report.measures
    period = 1000 / measures.input_rate if measures.input_rate else 0.0
    stages = latencies = None
    if measures.totals_ms:
        stages = stage_figure([("", {name: p.p50 for name, p in measures.stages.items()})])
        line = Line("in the node", run_color(0), *zip(*measures.totals_ms, strict=True))
        latencies = latency_figure([line], "seconds", period)
    video = _address(report.source.folder / "overlay.mp4")
    return Panel(report, video, _tiles(report), period, stages, latencies)


def _address(video: Path) -> str:
    """Return the embedded content of a file, or its relative path if it is large."""
    if not video.is_file():
        return ""
    if video.stat().st_size > MAX_EMBEDDED_BYTES:
        return f"{video.parent.name}/{video.name}"
    return data_url(video.read_bytes(), "video/mp4")


def _tiles(report: SourceReport) -> list[tuple[str, str]]:
    measures, totals = report.measures, report.measures.frames
    tiles = [
        (f"{totals.segmented} of {totals.sent}", f"frames segmented; {totals.dropped} dropped"),
        (f"{measures.output_rate:.1f} / s", f"outputs; {measures.input_rate:.1f} / s sent"),
    ]
    if measures.total is not None:
        tiles.append((f"{measures.total.p50:.0f} ms", "latency in the node, median"))
        tiles.append((f"{measures.total.p95:.0f} ms", "latency in the node, 95 %"))
    if report.consistency is not None:
        tiles.append((f"{report.consistency:.1%}", "of pixels keep their label to the next frame"))
    if report.score:
        tiles.append((f"{report.score['mean_iou']:.1%}", "mean IoU with the exact labels"))
        tiles.append((f"{report.score['pixel_accuracy']:.1%}", "of pixels correct"))
        if report.score["boundary_f"] is not None:
            tiles.append((f"{report.score['boundary_f']:.1%}", "boundary F-score"))
    return tiles


def _classes(reports: Sequence[SourceReport], scored: SourceReport | None) -> list[ClassRow]:
    """Return the classes in any labels, and those with a score."""
    scores = iou_by_id(scored.evaluation) if scored else {}
    shown = {i for report in reports for i in report.present} | set(scores)
    classes = [reports[0].class_map.class_by_id(class_id) for class_id in sorted(shown)]
    return [ClassRow(c.name, css_color(c.color), scores.get(c.id)) for c in classes]


def _settings(reports: Sequence[SourceReport]) -> list[tuple[str, str]]:
    session = reports[0].session
    model = session.view.model
    bags = [report.source.bag for report in reports]
    topics = {f"{bag.topic}{', compressed' if bag.compressed else ''}" for bag in bags}
    return [
        ("Network", model["variant"]),
        ("Weights", Path(session.weights).name if session.weights else "packaged"),
        ("Network input", f"{model['input size']} (height x width)"),
        ("Device", model["device"]),
        ("Precision", model["precision"]),
        ("Class map", reports[0].class_map.name),
        ("Topic", ", ".join(sorted(topics))),
        ("Temporal memory", f"{model.get('memory of a camera MiB', '?')} MiB a camera"),
        ("Memory of the node", f"{model.get('host memory MiB', '?')} MiB"),
    ]
