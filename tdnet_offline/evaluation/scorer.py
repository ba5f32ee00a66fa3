"""Scores of segmented frames, added up frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tdnet.class_map.model import ClassMap
from tdnet_offline.datasets.video import IGNORED
from tdnet_offline.evaluation.boundary import boundary_counts
from tdnet_offline.evaluation.confusion import ClassAxis, Labels
from tdnet_offline.evaluation.metrics import agreement, mean_iou, pixel_accuracy
from tdnet_offline.evaluation.motion import Flow, Motion, grey
from tdnet_offline.evaluation.result import (
    Counts,
    Evaluation,
    FrameRecord,
    Setting,
    WithheldMemory,
)
from tdnet_offline.evaluation.worst_frames import WorstFrames

DEFAULT_WORST = 8
CLIP_LENGTHS = (8, 16)
"""Frames of a clip for video consistency."""

Image = npt.NDArray[np.uint8]


class _Past(NamedTuple):
    """A frame: index in its video, labels and ground truth (H, W) uint8, picture grey."""

    number: int
    picture: Image
    labels: Labels
    ground_truth: Labels | None


class Scorer:
    """Adds up counts frame by frame; only the records of the frames grow with their number.

    Args:
        class_map: of ground truth and predictions.
        worst: number of the worst frames that are kept as pictures.
        paced: whether `newest` will be called.
        consistency: whether frames are compared with the frame before.
    """

    def __init__(
        self,
        class_map: ClassMap,
        worst: int = DEFAULT_WORST,
        paced: bool = False,
        consistency: bool = True,
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
        self._past: _Past | None = None
        self._measures_consistency = consistency
        self._clips = ClipConsistency()
        self._flow: Callable[[int, int], Flow] | None = None

    def start(
        self,
        video: str,
        dropped: int = 0,
        refused: int = 0,
        waited: float = 0.0,
        flow: Callable[[int, int], Flow] | None = None,
    ) -> None:
        """Start another video.

        Args:
            video: its name.
            dropped: its frames that were superseded by a newer one.
            refused: its frames that cannot be read; `refuse` adds further ones.
            waited: seconds for which its clock stood still.
            flow: see `LabelledVideo.exact_flow`; None: it is estimated from the pictures.
        """
        self._past, self._clips, self._flow = None, ClipConsistency(), flow
        self._dropped[video], self._refused[video] = dropped, refused
        self._waited += waited

    def refuse(self, video: str) -> None:
        """Count a frame that could not be read."""
        self._refused[video] += 1

    def add(
        self,
        record: FrameRecord,
        labels: Labels,
        ground_truth: Labels | None,
        image: Image | None,
        *,
        shown: Image | None = None,
        labels_without_memory: Labels | None = None,
    ) -> None:
        """Score the next frame of the video.

        Args:
            record: of the frame; its scores are computed here.
            labels: (H, W) uint8 class ids, 255 = unlabelled.
            ground_truth: (H, W) uint8 class ids, 255 = ignored; None if not labelled.
            image: (H, W, 3) uint8 RGB camera image. Without it the frame has no consistency, and
                no picture if it is one of the worst.
            shown: input of the network, for the picture; None if it is the camera image.
            labels_without_memory: as `labels`, with the full memory withheld; None if not
                computed.
        """
        accuracy = iou = None
        if ground_truth is not None:
            confusion = self._axis.confusion(ground_truth, labels)
            key = record.path, record.memory_frames
            self._confusions[key] = self._confusions.get(key, 0) + confusion
            self._boundary += boundary_counts(ground_truth, labels, self._axis)
            if confusion.any():
                accuracy, iou = pixel_accuracy(confusion), mean_iou(confusion)
                if labels_without_memory is not None:
                    frame = WithheldMemory(
                        frames=1,
                        used=confusion,
                        withheld=self._axis.confusion(ground_truth, labels_without_memory),
                        pixels=labels.size,
                        changed=int(np.count_nonzero(labels != labels_without_memory)),
                    )
                    self._withheld = frame if self._withheld is None else self._withheld + frame
        if ground_truth is None or record.reset_reason is not None:
            self._clips = ClipConsistency()
        clips = {}
        if ground_truth is not None:
            clips = self._clips.add(record.index, labels, ground_truth)
        past, self._past = self._past, None
        consistency = None
        if image is not None and self._measures_consistency:
            self._past = _Past(record.index, grey(image), labels, ground_truth)
            if past is not None and record.reset_reason is None:
                consistency = self._compare(past, self._past)
        record = replace(
            record,
            pixel_accuracy=accuracy,
            mean_iou=iou,
            consistency=consistency,
            vc8=clips.get(8),
            vc16=clips.get(16),
        )
        self._records.append(record)
        if ground_truth is not None and iou is not None and image is not None:
            self._worst.offer(record, image if shown is None else shown, ground_truth, labels)

    def newest(self, labels: Labels, ground_truth: Labels) -> None:
        """Count the newest labels (H, W) uint8 at the moment when a labelled frame was due."""
        # Labels from before a change of the camera's size show another view.
        if self._available is not None and labels.shape == ground_truth.shape:
            self._available += self._axis.confusion(ground_truth, labels)

    def evaluation(self, setting: Setting, seconds: float) -> Evaluation:
        """Return the counts and records of a run that took so many seconds."""
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

    def _compare(self, past: _Past, now: _Past) -> float | None:
        """Return the consistency with the previous frame; None if no pixel counts."""
        if self._flow is None:
            motion = Motion.estimated(past.picture, now.picture)
        else:
            motion = Motion(
                self._flow(now.number, past.number), self._flow(past.number, now.number)
            )
        carried, in_sight = motion.carry(past.labels)
        counts = self._axis.agreement(carried[in_sight], now.labels[in_sight])
        self._consistency += counts
        if past.ground_truth is not None and now.ground_truth is not None:
            if self._truth_consistency is None:
                self._truth_consistency = np.zeros_like(counts)
            true = self._axis.agreement(motion.carry(past.ground_truth)[0], now.ground_truth)
            # Pixels without ground truth do not count.
            self._truth_consistency[:-1, :-1] += true[:-1, :-1]
        return agreement(counts) if counts.any() else None


class ClipConsistency:
    """Video consistency over clips of 8 and 16 frames (Miao et al., CVPR 2021).

    Counts for each pixel how many frames ground truth and labels have been the same.
    """

    def __init__(self) -> None:
        self._past: tuple[int, Labels, Labels] | None = None
        self._runs: tuple[Labels, Labels] = (np.empty(0, np.uint8),) * 2

    def add(self, index: int, labels: Labels, ground_truth: Labels) -> dict[int, float]:
        """Add a frame; a frame that does not follow the one before starts again.

        Args:
            index: of the frame in its video.
            labels: (H, W) uint8 class ids, 255 = unlabelled.
            ground_truth: (H, W) uint8 class ids, 255 = ignored.

        Returns:
            Of each clip that ends with the frame, by its length: the share, 0 to 1, of the pixels
            with the same ground truth in all its frames that also have the same label in all.
        """
        past, self._past = self._past, (index, labels, ground_truth)
        if past is None or past[0] + 1 != index or past[1].shape != labels.shape:
            self._runs = (np.ones(labels.shape, np.uint8),) * 2
        else:
            same = past[1] == labels, past[2] == ground_truth
            self._runs = _continued(self._runs[0], same[0]), _continued(self._runs[1], same[1])
        label_runs, true_runs = self._runs
        scores = {}
        for length in CLIP_LENGTHS:
            counted = (true_runs >= length) & (ground_truth != IGNORED)
            if counted.any():
                scores[length] = float((label_runs[counted] >= length).mean())
        return scores


def _continued(run: Labels, same: npt.NDArray[np.bool_]) -> Labels:
    """Return the frames (H, W) of runs after one more, at most those of the longest clip."""
    return np.where(same, np.minimum(run + 1, CLIP_LENGTHS[-1]), 1).astype(np.uint8)
