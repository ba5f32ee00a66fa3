"""The results of one source: numbers, pictures and files in the output folder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from tdnet import ClassMap
from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.evaluation_file import save_evaluation
from tdnet_offline.evaluation.result import Counts, Evaluation
from tdnet_offline.report.evaluation_page import write_report
from tdnet_offline.writers.video import VideoWriter
from tools.demo.evaluation import evaluate_recording, iou_by_id
from tools.demo.measures import Measures, measure
from tools.demo.recorder import OVERLAY
from tools.demo.recording import Recording
from tools.demo.session import Session
from tools.demo.sources import Source
from tools.harness.system_info import system_info

SHOWN_FRAMES = 6
PICTURE_WIDTH = 480

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ShownFrame:
    """One frame on the page: seconds since the first, and JPEG pictures by their title."""

    seconds: float
    pictures: Mapping[str, bytes]


@dataclass(frozen=True)
class SourceReport:
    """Result of one source.

    Attributes:
        source: The played source.
        session: The run.
        measures: Frame counts, rates and latencies.
        class_map: Classes of the labels.
        present: Ids of the classes in the labels, ascending.
        evaluation: Agreement of the labels with ground truth and from frame to frame.
        frames: Some of the frames, evenly spaced.
    """

    source: Source
    session: Session
    measures: Measures
    class_map: ClassMap
    present: tuple[int, ...]
    evaluation: Evaluation
    frames: tuple[ShownFrame, ...]

    @cached_property
    def score(self) -> dict[str, Any] | None:
        """Agreement with the ground truth; None without ground truth."""
        confusion = metrics.total_confusion(self.evaluation)
        if not confusion.any():
            return None
        names = self.evaluation.setting.class_names
        boundary = metrics.mean_boundary_f(self.evaluation.boundary)
        return {
            "frames": sum(record.mean_iou is not None for record in self.evaluation.frames),
            "pixel_accuracy": metrics.pixel_accuracy(confusion),
            "mean_iou": metrics.mean_iou(confusion),
            "boundary_f": None if math.isnan(boundary) else boundary,
            "class_iou": {names[i]: iou for i, iou in iou_by_id(self.evaluation).items()},
        }

    @property
    def consistency(self) -> float | None:
        """Share of the pixels that keep their label to the next frame; None without frames."""
        return _agreement(self.evaluation.consistency)

    def lines(self) -> list[str]:
        """Return the numbers in words."""
        totals, total = self.measures.frames, self.measures.total
        lines = [
            f"{totals.sent} frames sent: {totals.segmented} segmented, {totals.dropped} "
            f"dropped, {totals.refused} refused, {totals.unfinished} unfinished, "
            f"{totals.lost} lost in transport"
        ]
        if total is not None:
            lines.append(
                f"{self.measures.output_rate:.1f} frames/s; latency in the node p50 "
                f"{total.p50:.0f} ms, p95 {total.p95:.0f} ms"
            )
        if self.score:
            lines.append(
                "against the exact labels: pixel accuracy "
                f"{self.score['pixel_accuracy']:.1%}, mIoU {self.score['mean_iou']:.1%}"
            )
        if self.consistency is not None:
            lines.append(
                f"from frame to frame {self.consistency:.1%} of the pixels keep their label"
            )
        return lines


def make_report(source: Source, session: Session) -> SourceReport:
    """Return the numbers of a run.

    Writes `overlay.mp4`, `evaluation.json`, `report.html` and `summary.json` beside the recording.
    """
    folder = source.folder
    recorded = Recording(session.recording)
    statuses = recorded.statuses()
    if session.arrivals:
        with VideoWriter(folder / "overlay.mp4", _stamp_rate(session)) as video:
            for stamp, image in recorded.images(OVERLAY):
                video.write(image, stamp)
    evaluation = evaluate_recording(source, session, recorded, statuses)
    save_evaluation(evaluation, folder / "evaluation.json")
    write_report(folder, [evaluation])
    class_map = recorded.class_map()
    report = SourceReport(
        source=source,
        session=session,
        measures=measure(session, statuses),
        class_map=class_map,
        present=tuple(sorted({int(i) for s in statuses.values() for i in s.class_ids})),
        evaluation=evaluation,
        frames=_shown_frames(source, session, recorded, class_map),
    )
    summary = json.dumps(_summary(report), indent=2, allow_nan=False)
    (folder / "summary.json").write_text(f"{summary}\n")
    return report


def _summary(report: SourceReport) -> dict[str, Any]:
    session = report.session
    measures = asdict(report.measures)
    measures.pop("totals_ms")
    return {
        "source": report.source.title,
        "topic": report.source.bag.topic,
        "variant": session.view.model["variant"],
        "weights": session.weights or "packaged",
        **measures,
        "score": report.score,
        "temporal_consistency": {
            "labels": report.consistency,
            "ground_truth": _agreement(report.evaluation.truth_consistency),
        },
        "model": dict(session.view.model),
        "node_exit_status": session.exit_status,
        "problems": list(session.problems),
        "last_error": session.view.last_error,
        "command": ["python", *session.command],
        "system": system_info(),
    }


def _stamp_rate(session: Session) -> float:
    """Return frames per second by the stamps; 0 if they do not increase."""
    steps = np.diff([message.stamp_ns for message in session.sent])
    return float(1e9 / np.median(steps)) if len(steps) and np.median(steps) > 0 else 0.0


def _shown_frames(
    source: Source, session: Session, recorded: Recording, class_map: ClassMap
) -> tuple[ShownFrame, ...]:
    """Return frames from the first to the last, with those of their pictures that exist."""
    if not session.arrivals:
        return ()
    stamps = list(session.arrivals)
    places = np.linspace(0, len(stamps) - 1, min(SHOWN_FRAMES, len(stamps)))
    chosen: dict[int, dict[str, bytes]] = {stamps[round(place)]: {} for place in places}
    for stamp, frame in source.bag.frames():
        if stamp in chosen:
            chosen[stamp]["camera"] = _jpeg(frame.image)
    for stamp, overlay in recorded.images(OVERLAY):
        if stamp in chosen:
            chosen[stamp]["overlay from the node"] = _jpeg(overlay)
    for stamp, labels in source.bag.ground_truth():
        if stamp in chosen:
            chosen[stamp]["exact labels"] = _jpeg(class_map.color_table[labels])
    start = session.sent[0].stamp_ns
    return tuple(ShownFrame((stamp - start) / 1e9, shown) for stamp, shown in chosen.items())


def _jpeg(image: Image) -> bytes:
    height = max(1, round(PICTURE_WIDTH * image.shape[0] / image.shape[1]))
    small = cv2.resize(image, (PICTURE_WIDTH, height), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small[..., ::-1])
    return data.tobytes()


def _agreement(counts: Counts | None) -> float | None:
    share = math.nan if counts is None else metrics.agreement(counts)
    return None if math.isnan(share) else share
