"""From the recorded topics to what is left in the output folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from tdnet import ClassMap
from tdnet.overlay.legend import legend_image
from tdnet.overlay.renderer import OverlayRenderer
from tdnet_offline.evaluation.evaluation_file import save_evaluation
from tdnet_offline.evaluation.result import Evaluation
from tdnet_offline.report import write_report
from tdnet_offline.writers.video import VideoWriter
from tools.demo.camera_bag import CameraBag
from tools.demo.evaluation import evaluate_recording
from tools.demo.measures import Measures, measure
from tools.demo.node_under_test import NodeUnderTest
from tools.demo.pictures import SheetRow, contact_sheet, evenly
from tools.demo.recorder import OVERLAY
from tools.demo.recording import Recording
from tools.demo.session import Session
from tools.demo.sources import Source

SHEET_ROWS = 6

Images = dict[int, npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Report:
    """Result of one source.

    Attributes:
        source: What was played.
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
) -> Report:
    """Write video, contact sheet, legend and evaluation, and return the numbers.

    Args:
        source: What was played.
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
    return Report(
        source=source,
        session=session,
        measures=measures,
        class_map=class_map,
        present=present,
        evaluation=evaluation,
    )


def _stamp_rate(session: Session) -> float:
    """Frames a second by their stamps; 0 if these do not say."""
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
