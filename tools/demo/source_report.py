"""The results of one source: numbers, pictures and files in the output folder."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from tdnet import ClassMap
from tdnet.overlay.legend import legend_image
from tdnet.overlay.renderer import OverlayRenderer
from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.evaluation_file import save_evaluation
from tdnet_offline.evaluation.result import Counts, Evaluation
from tdnet_offline.report import write_report
from tdnet_offline.writers.video import VideoWriter
from tools.demo.camera_bag import CameraBag
from tools.demo.evaluation import evaluate_recording, iou_by_id
from tools.demo.measures import Measures, measure
from tools.demo.pictures import SheetRow, contact_sheet, evenly
from tools.demo.recorder import OVERLAY
from tools.demo.recording import Recording
from tools.demo.session import NodeUnderTest, Session
from tools.demo.sources import Source

SHEET_ROWS = 6

Images = dict[int, npt.NDArray[np.uint8]]


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
    """

    source: Source
    session: Session
    measures: Measures
    class_map: ClassMap
    present: tuple[int, ...]
    evaluation: Evaluation


def make_report(
    source: Source,
    node: NodeUnderTest,
    session: Session,
    recording: Path,
    output: Path,
    on_frame: Callable[[], None],
) -> SourceReport:
    """Write video, contact sheet, legend and evaluation, and return the numbers.

    Args:
        source: The played source.
        node: The node that segmented it.
        session: The run.
        recording: The bag with the node's topics.
        output: Folder for the files `overlay.mp4`, `contact_sheet.png`, `legend.png`,
            `evaluation.json` and `report.html`.
        on_frame: Called after every evaluated frame.
    """
    bag = source.bag
    recorded = Recording(recording)
    class_map = recorded.class_map()
    statuses = recorded.statuses()
    measures = measure(session, statuses)
    present = tuple(sorted({i for status in statuses for i in status.class_ids}))
    if session.arrivals:
        with VideoWriter(output / "overlay.mp4", _stamp_rate(session)) as video:
            for stamp, image in recorded.images(OVERLAY):
                video.write(image, stamp)
        _write_sheet(bag, session, recorded, class_map, output / "contact_sheet.png")
    if present:
        _write_png(output / "legend.png", legend_image(class_map, present))
    evaluation = evaluate_recording(source, node, session, recorded, measures.frames, on_frame)
    save_evaluation(evaluation, output / "evaluation.json")
    write_report(output, [evaluation])
    return SourceReport(
        source=source,
        session=session,
        measures=measures,
        class_map=class_map,
        present=present,
        evaluation=evaluation,
    )


def write_summary(path: Path, node: NodeUnderTest, report: SourceReport) -> None:
    """Write the numbers.

    Args:
        path: The file.
        node: The node of the run.
        report: The result.
    """
    session = report.session
    measures = asdict(report.measures)
    measures.pop("totals_ms")
    content = {
        "source": report.source.title,
        "topic": report.source.bag.topic,
        "variant": node.variant,
        "weights": node.weights or "packaged",
        **measures,
        "score": _score(report.evaluation),
        "temporal_consistency": {
            "labels": _consistency(report.evaluation.consistency),
            "ground_truth": _consistency(report.evaluation.truth_consistency),
        },
        "model": dict(session.model),
        "node_exit_status": session.exit_status,
        "problems": list(session.problems),
        "last_error": session.last_error,
        "command": ["python", *session.command],
        "system": dict(node.system),
    }
    path.write_text(json.dumps(content, indent=2) + "\n")


def _stamp_rate(session: Session) -> float:
    """Return frames per second by the stamps; 0 if they do not increase."""
    stamps = [message.stamp_ns for message in session.sent]
    steps = np.diff(stamps)
    return float(1e9 / np.median(steps)) if len(steps) and np.median(steps) > 0 else 0.0


def _write_sheet(
    bag: CameraBag, session: Session, recorded: Recording, class_map: ClassMap, path: Path
) -> None:
    stamps = list(session.arrivals)
    chosen = {stamps[index] for index in evenly(len(stamps), SHEET_ROWS)}
    overlays = {stamp: image for stamp, image in recorded.images(OVERLAY) if stamp in chosen}
    cameras: Images = {
        frame.stamp_ns: frame.image for frame in bag.frames() if frame.stamp_ns in chosen
    }
    ground_truths = {stamp: labels for stamp, labels in bag.ground_truth() if stamp in chosen}
    renderer = OverlayRenderer(class_map, legend=False)
    start = session.sent[0].stamp_ns
    rows = []
    for stamp, overlay in overlays.items():
        camera = cameras.get(stamp)
        if camera is None:
            continue
        pictures = [camera, overlay]
        if ground_truths:
            ground_truth = ground_truths.get(stamp)
            shown = camera if ground_truth is None else _rendered(renderer, camera, ground_truth)
            pictures.append(shown)
        rows.append(SheetRow(f"t = {(stamp - start) / 1e9:.2f} s", tuple(pictures)))
    columns = ("camera", "overlay from the node", "exact labels")[: 3 if ground_truths else 2]
    if rows:
        _write_png(path, contact_sheet(columns, rows))


def _rendered(
    renderer: OverlayRenderer, camera: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    image = torch.from_numpy(np.array(camera))
    return renderer.render(image, torch.from_numpy(np.array(labels)))


def _write_png(path: Path, image: npt.NDArray[np.uint8]) -> None:
    _, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    path.write_bytes(data.tobytes())


def _score(evaluation: Evaluation) -> dict[str, Any] | None:
    """Return the agreement with the ground truth; None without ground truth."""
    confusion = metrics.total_confusion(evaluation)
    if not confusion.any():
        return None
    names = evaluation.setting.class_names
    return {
        "frames": sum(record.mean_iou is not None for record in evaluation.frames),
        "pixel_accuracy": metrics.pixel_accuracy(confusion),
        "mean_iou": metrics.mean_iou(confusion),
        "boundary_f": metrics.mean_boundary_f(evaluation.boundary),
        "class_iou": {names[i]: iou for i, iou in iou_by_id(evaluation).items()},
    }


def _consistency(counts: Counts | None) -> float | None:
    share = math.nan if counts is None else metrics.agreement(counts)
    return None if math.isnan(share) else share
