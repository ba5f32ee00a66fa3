"""Scores of segmented frames, added up frame by frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tdnet._util.stage_clock import StageTimes
from tdnet.class_map.model import ClassMap
from tdnet.continuity import ResetReason
from tdnet_offline.evaluation.boundary import boundary_counts
from tdnet_offline.evaluation.confusion import ClassAxis, Labels
from tdnet_offline.evaluation.metrics import agreement, mean_iou, pixel_accuracy
from tdnet_offline.evaluation.motion import Motion, grey
from tdnet_offline.evaluation.result import (
    Counts,
    Evaluation,
    FrameRecord,
    Setting,
    WithheldMemory,
)
from tdnet_offline.evaluation.worst_frames import WorstFrames

if TYPE_CHECKING:
    from tdnet_offline.frames import Frame

DEFAULT_WORST = 8


@dataclass(frozen=True)
class Prediction:
    """The labels of a frame, and how they were made.

    Attributes:
        labels: (H, W) uint8 class ids, 255 = unlabelled.
        path: sub-network, counted from 0.
        memory_frames: past frames that it used.
        reset_reason: why the memory was emptied before the frame; None if it was continued.
        stages_ms: milliseconds by stage, ``total`` last.
        age_ms: milliseconds from due frame to labels; None unless paced.
        image: (H, W, 3) uint8 RGB input of the network; None if it is the frame's own.
        labels_without_memory: (H, W) uint8 class ids of the same frame with its full memory
            withheld; None if not computed.
    """

    labels: Labels
    path: int
    memory_frames: int
    reset_reason: ResetReason | None
    stages_ms: dict[str, float]
    age_ms: float | None = None
    image: npt.NDArray[np.uint8] | None = None
    labels_without_memory: Labels | None = None


@dataclass(frozen=True)
class UnseenFrame:
    """A labelled frame whose image cannot be decoded here.

    Attributes:
        name: in the source.
        stamp_ns: acquisition time; None if the source has none.
    """

    name: str
    stamp_ns: int | None


@dataclass(frozen=True)
class _Past:
    """The previous frame; labels and ground truth (H, W) uint8, picture grey."""

    picture: npt.NDArray[np.uint8]
    labels: Labels
    ground_truth: Labels | None


class Scorer:
    """Adds up counts frame by frame; only the records of the frames grow with their number.

    Args:
        class_map: of ground truth and predictions.
        worst: number of the worst frames that are kept as pictures.
        paced: whether `newest` will be called.
    """

    def __init__(
        self, class_map: ClassMap, worst: int = DEFAULT_WORST, paced: bool = False
    ) -> None:
        self._axis = ClassAxis(class_map)
        size = len(self._axis)
        self._confusions: dict[tuple[int, int], Counts] = {}
        self._boundary = np.zeros((size, 4), np.int64)
        self._consistency = np.zeros((size + 1, size + 1), np.int64)
        self._truth_consistency: Counts | None = None
        self._available = np.zeros((size, size + 1), np.int64) if paced else None
        self._records: list[FrameRecord] = []
        self._dropped: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        self._withheld: WithheldMemory | None = None
        self._waited = 0.0
        self._worst = WorstFrames(worst, class_map)
        self._video = ""
        self._past: _Past | None = None

    def start(self, video: str, dropped: int = 0, waited: float = 0.0) -> None:
        """Start another video.

        Args:
            video: its name.
            dropped: its frames that were superseded by a newer one.
            waited: seconds for which its clock stood still.
        """
        self._video, self._past = video, None
        self._dropped[video], self._refused[video] = dropped, 0
        self._waited += waited

    def refuse(self) -> None:
        """Count a frame that could not be read."""
        self._refused[self._video] += 1

    def add(
        self,
        index: int,
        frame: Frame | UnseenFrame,
        prediction: Prediction,
        ground_truth: Labels | None,
    ) -> None:
        """Score the next frame of the video.

        Args:
            index: of the frame in its video.
            frame: the camera image. An unseen frame has no consistency, and no picture if it is
                one of the worst.
            prediction: labels of the image's size.
            ground_truth: (H, W) uint8 class ids, 255 = ignored; None if not labelled.
        """
        accuracy = iou = None
        if ground_truth is not None:
            confusion = self._axis.confusion(ground_truth, prediction.labels)
            key = prediction.path, prediction.memory_frames
            self._confusions[key] = self._confusions.get(key, 0) + confusion
            self._boundary += boundary_counts(ground_truth, prediction.labels, self._axis)
            if confusion.any():
                accuracy, iou = pixel_accuracy(confusion), mean_iou(confusion)
                if prediction.labels_without_memory is not None:
                    self._withhold(
                        prediction.labels,
                        prediction.labels_without_memory,
                        ground_truth,
                        confusion,
                    )
        record = FrameRecord(
            video=self._video,
            index=index,
            name=frame.name,
            stamp_ns=frame.stamp_ns,
            path=prediction.path,
            memory_frames=prediction.memory_frames,
            reset_reason=prediction.reset_reason and prediction.reset_reason.value,
            pixel_accuracy=accuracy,
            mean_iou=iou,
            consistency=self._compare(frame, prediction, ground_truth),
            stages_ms=prediction.stages_ms,
            age_ms=prediction.age_ms,
        )
        self._records.append(record)
        if ground_truth is not None and iou is not None and not isinstance(frame, UnseenFrame):
            image = frame.image if prediction.image is None else prediction.image
            self._worst.offer(record, image, ground_truth, prediction.labels)

    def newest(self, labels: Labels, ground_truth: Labels) -> None:
        """Count the newest labels at the moment when a frame was due.

        Args:
            labels: (H, W) uint8 class ids of an earlier frame.
            ground_truth: (H, W) uint8 class ids of the frame.
        """
        # Labels from before a change of the camera's size show another view.
        if self._available is not None and labels.shape == ground_truth.shape:
            self._available += self._axis.confusion(ground_truth, labels)

    def evaluation(self, setting: Setting, seconds: float) -> Evaluation:
        """Return the counts and records.

        Args:
            setting: network, source and machine.
            seconds: duration of the run.
        """
        return Evaluation(
            setting=setting,
            confusions=dict(sorted(self._confusions.items())),
            boundary=self._boundary,
            consistency=self._consistency,
            truth_consistency=self._truth_consistency,
            frames=tuple(self._records),
            dropped=self._dropped,
            refused=self._refused,
            seconds=seconds,
            worst=self._worst.frames,
            available=self._available,
            waited_seconds=self._waited,
            withheld_memory=self._withheld,
        )

    def _withhold(
        self, labels: Labels, without: Labels, ground_truth: Labels, confusion: Counts
    ) -> None:
        """Count the effect of withholding the memory on a labelled frame."""
        frame = WithheldMemory(
            frames=1,
            used=confusion,
            withheld=self._axis.confusion(ground_truth, without),
            pixels=labels.size,
            changed=int(np.count_nonzero(labels != without)),
        )
        self._withheld = frame if self._withheld is None else self._withheld + frame

    def _compare(
        self, frame: Frame | UnseenFrame, prediction: Prediction, ground_truth: Labels | None
    ) -> float | None:
        """Return the consistency with the previous frame; None if the view is another."""
        past, self._past = self._past, None
        if isinstance(frame, UnseenFrame):
            return None
        self._past = _Past(grey(frame.image), prediction.labels, ground_truth)
        if past is None or prediction.reset_reason is not None:
            return None
        motion = Motion(past.picture, self._past.picture)
        carried, in_sight = motion.carry(past.labels)
        counts = self._axis.agreement(carried[in_sight], prediction.labels[in_sight])
        self._consistency += counts
        if past.ground_truth is not None and ground_truth is not None:
            if self._truth_consistency is None:
                self._truth_consistency = np.zeros_like(counts)
            true = self._axis.agreement(motion.carry(past.ground_truth)[0], ground_truth)
            # Pixels without ground truth do not count.
            self._truth_consistency[:-1, :-1] += true[:-1, :-1]
        return agreement(counts) if counts.any() else None


def stages_ms(times: StageTimes) -> dict[str, float]:
    """Return the milliseconds by stage; an evaluation draws no overlay."""
    return {
        "preprocess": times.preprocess,
        "network": times.network,
        "postprocess": times.postprocess,
        "download": times.download,
        "total": times.total,
    }
