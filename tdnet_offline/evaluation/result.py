"""What one evaluation measured: counts that add up exactly, and a record of every frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FrameRecord:
    """One frame of a video.

    Attributes:
        video: name of its video.
        index: in the video.
        name: as the source calls it.
        stamp_ns: acquisition time; None where the source has none.
        path: sub-network that processed it, counted from 0.
        memory_frames: past frames that it used.
        reset_reason: why the memory was emptied before it; None if it was continued.
        pixel_accuracy: share of the labelled pixels that are right, 0 to 1; None without labels.
        mean_iou: mean IoU of the classes in truth or labels of this frame; None without labels.
        consistency: share of the pixels of the previous labels, carried over by optical flow,
            that agree with this frame's, 0 to 1; None where there is no previous frame.
        stages_ms: milliseconds by stage, and ``total``.
        age_ms: from the moment the frame was due to its labels, when paced; else None.
    """

    video: str
    index: int
    name: str
    stamp_ns: int | None
    path: int
    memory_frames: int
    reset_reason: str | None
    pixel_accuracy: float | None
    mean_iou: float | None
    consistency: float | None
    stages_ms: Mapping[str, float]
    age_ms: float | None = None


@dataclass(frozen=True)
class WorstFrame:
    """A frame with low IoU, as pictures for the report.

    Attributes:
        record: of the frame.
        image: JPEG of the camera image.
        truth: PNG of the true labels in colour.
        prediction: PNG of the given labels in colour.
    """

    record: FrameRecord
    image: bytes
    truth: bytes
    prediction: bytes


@dataclass(frozen=True)
class Setting:
    """What was evaluated, on what.

    Attributes:
        source: as the user gave it.
        split: of the data set; empty for bags.
        mode: ``every-frame`` or ``paced``; ``node`` for labels that a node published.
        variant: name of the network.
        weights: file name of the weights; ``packaged`` for the packaged ones.
        weights_sha256: of the file.
        input_size: height and width of the network input.
        device: that it ran on.
        precision: that it ran in.
        class_names: by class id.
        class_colors: (r, g, b) by class id.
        hardware: a line on processor, cores and GPU.
        versions: of Python, torch and tdnet.
        git_commit: of the checkout; empty outside one.
        started: when, ISO 8601, UTC.
        processes: how many shared the work.
        runtime: what ran the network.
        memory: ``full``, ``none`` or ``foreign``: the past that frames were segmented with.
        damage: of the camera images, as `tdnet_offline.damage.Damage` writes it.
        seed: of the damage.
    """

    source: str
    split: str
    mode: str
    variant: str
    weights: str
    weights_sha256: str
    input_size: tuple[int, int]
    device: str
    precision: str
    class_names: Mapping[int, str]
    class_colors: Mapping[int, tuple[int, int, int]]
    hardware: str
    versions: Mapping[str, str]
    git_commit: str
    started: str
    processes: int
    runtime: str = "torch"
    memory: str = "full"
    damage: str = "none"
    seed: int = 0

    @property
    def seeded_damage(self) -> str:
        """Damage, and its seed if there is any."""
        return self.damage if self.damage == "none" else f"{self.damage}, seed {self.seed}"

    @property
    def numbers(self) -> str:
        """Precision, and runtime if it is not PyTorch."""
        return numbers_text(self.precision, self.runtime)


def numbers_text(precision: str, runtime: str) -> str:
    """Name a precision, and the runtime if it is not PyTorch."""
    return precision if runtime == "torch" else f"{precision}, {runtime}"


@dataclass(frozen=True)
class WithheldMemory:
    """The labelled frames with a full memory, segmented with the memory and without.

    Attributes:
        frames: how many.
        used: (K, K + 1) pixel counts as of `Evaluation.confusions`, with the memory.
        withheld: the same without it.
        pixels: of all these frames.
        changed: those of them whose label differs between the two.
    """

    frames: int
    used: Counts
    withheld: Counts
    pixels: int
    changed: int


@dataclass(frozen=True)
class Evaluation:
    """The measurements of one run.

    Class axes are in ascending order of class id; K classes.

    Attributes:
        setting: what was evaluated, on what.
        confusions: (K, K + 1) pixel counts by (path, memory frames): rows are true classes,
            columns the given ones, the last column pixels without a label.
        boundary: (K, 4) counts of boundary pixels: given, given that are near a true one, true,
            true that are near a given one.
        consistency: (K + 1, K + 1) pixel counts: rows are the classes of the previous frame's
            labels carried over by optical flow, columns those given for this frame; the last row
            and column are pixels without a label, and those without one in both do not count.
        truth_consistency: the same of the true labels, where neighbouring frames have them and
            both are labelled; the ceiling of what is measured so. None without such frames.
        frames: of every segmented frame, in order of video and index.
        dropped: frames that were not segmented because a newer one was there, by video.
        refused: frames that could not be read, by video.
        seconds: that the run took.
        worst: frames with the lowest IoU, lowest first.
        available: (K, K + 1) pixel counts as in `confusions`, when paced: the truth of each
            labelled frame, dropped or not, against the newest labels that were there at the
            moment the frame was due. What an application sees; None unless paced.
        waited_seconds: that the clock stood still, when paced, because reading the source fell
            behind real time: a robot would have dropped more frames.
        withheld_memory: what the labelled frames lose without their memory; None where that was
            not measured, or no labelled frame had a full memory.
    """

    setting: Setting
    confusions: Mapping[tuple[int, int], Counts]
    boundary: Counts
    consistency: Counts
    truth_consistency: Counts | None
    frames: tuple[FrameRecord, ...]
    dropped: Mapping[str, int]
    refused: Mapping[str, int]
    seconds: float
    worst: tuple[WorstFrame, ...] = field(default=())
    available: Counts | None = None
    waited_seconds: float = 0.0
    withheld_memory: WithheldMemory | None = None
