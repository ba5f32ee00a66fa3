"""From the recorded topics to what is left in the output folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from demo.camera_bag import CameraBag
from demo.evaluation import evaluate_recording
from demo.measures import Measures, measure
from demo.pictures import SheetRow, contact_sheet, evenly
from demo.recorder import OVERLAY
from demo.recording import FrameStatus, Recording
from demo.session import Session
from demo.subject import Subject
from tdnet import ClassMap
from tdnet.legend import legend_image
from tdnet.overlay import OverlayRenderer
from tdnet_offline.evaluation.json_file import save_evaluation
from tdnet_offline.evaluation.result import Evaluation
from tdnet_offline.report import write_report
from tdnet_offline.writers.video import VideoWriter

SHEET_ROWS = 6

Images = dict[int, npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Report:
    """What is known of the run.

    Attributes:
        measures: the numbers.
        class_map: the classes of the labels.
        present: ids of the classes that the labels show, ascending.
        evaluation: how good the labels are, and how steady.
        statuses: what the node said of each frame.
    """

    measures: Measures
    class_map: ClassMap
    present: tuple[int, ...]
    evaluation: Evaluation
    statuses: tuple[FrameStatus, ...]


def make_report(
    subject: Subject,
    session: Session,
    recording: Path,
    output: Path,
    on_frame: Callable[[], None],
) -> Report:
    """Write video, contact sheet, legend and evaluation, and give the numbers.

    Args:
        subject: what was played.
        session: the run.
        recording: the bag with the node's topics.
        output: folder for the files `overlay.mp4`, `contact_sheet.png`, `legend.png`,
            `evaluation.json` and `report.html`.
        on_frame: called after every frame that was evaluated.
    """
    bag = subject.bag
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
    evaluation = evaluate_recording(subject, session, recorded, measures.account, on_frame)
    save_evaluation(evaluation, output / "evaluation.json")
    write_report(output, [evaluation])
    return Report(
        measures=measures,
        class_map=class_map,
        present=present,
        evaluation=evaluation,
        statuses=tuple(statuses),
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
    truths = {stamp: labels for stamp, labels in bag.truth() if stamp in chosen}
    renderer = OverlayRenderer(class_map, legend=False)
    start = session.sent[0].stamp_ns
    rows = []
    for stamp, overlay in overlays.items():
        camera = cameras.get(stamp)
        if camera is None:
            continue
        pictures = [camera, overlay]
        if truths:
            truth = truths.get(stamp)
            shown = camera if truth is None else _rendered(renderer, camera, truth)
            pictures.append(shown)
        rows.append(SheetRow(f"t = {(stamp - start) / 1e9:.2f} s", tuple(pictures)))
    columns = ("camera", "overlay from the node", "truth")[: 3 if truths else 2]
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
