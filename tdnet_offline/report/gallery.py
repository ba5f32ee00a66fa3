"""The worst frames of a run as embedded pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from tdnet_offline.evaluation.result import WorstFrame
from tdnet_offline.report.breakdown import css_color
from tdnet_offline.report.page import data_url
from tdnet_offline.report.runs import EvaluationRun
from tdnet_offline.report.table import number_of, percent


@dataclass(frozen=True)
class GalleryFrame:
    """One frame: address of each picture by its name, which contains the data; score and name."""

    pictures: Mapping[str, str]
    score: str
    caption: str


@dataclass(frozen=True)
class Gallery:
    """The worst frames of a run; `legend` has name and colour of the classes shown."""

    run: EvaluationRun
    legend: tuple[tuple[str, str], ...]
    frames: tuple[GalleryFrame, ...]


def make_gallery(run: EvaluationRun) -> Gallery:
    """Embed the worst frames of a run."""
    return Gallery(run, _legend(run), tuple(map(_frame, run.evaluation.worst)))


def _frame(frame: WorstFrame) -> GalleryFrame:
    record = frame.record
    pictures = {
        "image": data_url(frame.image, "image/jpeg"),
        "ground truth": data_url(frame.truth, "image/png"),
        "prediction": data_url(frame.prediction, "image/png"),
    }
    score = "" if record.mean_iou is None else f"mean IoU {percent(record.mean_iou)}"
    memory = number_of(record.memory_frames, "memory frame")
    caption = f"{record.video}, frame {record.name}, path {record.path}, {memory}"
    return GalleryFrame(pictures, score, caption)


def _legend(run: EvaluationRun) -> tuple[tuple[str, str], ...]:
    shown: set[tuple[int, ...]] = set()
    for frame in run.evaluation.worst:
        for data in (frame.truth, frame.prediction):
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            if picture is not None:
                colors = np.unique(picture.reshape(-1, 3)[:, ::-1], axis=0)
                shown.update(map(tuple, colors.tolist()))
    setting = run.evaluation.setting
    return tuple(
        (name, css_color(setting.class_colors[class_id]))
        for class_id, name in sorted(setting.class_names.items())
        if tuple(setting.class_colors[class_id]) in shown
    )
