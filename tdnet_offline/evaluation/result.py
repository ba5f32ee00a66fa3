"""The result of an evaluation: counts that add up exactly, and a record of every frame.

`tdnet_offline.evaluation.evaluation_file` stores it by the type hints.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt

from tdnet._util.records import Range, Stored

Counts = npt.NDArray[np.int64]
PACKAGED = "packaged"
"""Name of the packaged weights in `Setting.weights`."""
_MAX_COUNT = 1 << 53
"""Of pixels in all classes together; a real run has far fewer."""
_Byte = Annotated[int, Range(0, 255)]
_Count = Annotated[int, Range(0, _MAX_COUNT)]
_Share = Annotated[float | None, Range(0, 1)]
_Side = Annotated[int, Range(0, 1 << 20)]
_Time = Annotated[float, Range(0, 1e12)]
_Stamp = Annotated[int | None, Range(-(2**63) + 1, 2**63 - 1)]


def _counts(rows: Sequence[Sequence[int]]) -> Counts:
    if sum(map(sum, rows)) > _MAX_COUNT:
        raise ValueError(f"more than {_MAX_COUNT} pixels")
    return np.array(rows, np.int64)


_Counts = Annotated[Counts, Stored(tuple[tuple[_Count, ...], ...], _counts, np.ndarray.tolist)]
_Picture = Annotated[
    bytes,
    Stored(
        str,
        decode=lambda text: base64.b64decode(text, validate=True),
        encode=lambda data: base64.b64encode(data).decode(),
    ),
]


@dataclass(frozen=True, kw_only=True)
class FrameRecord:
    """One frame of a video.

    Attributes:
        video: name of the video.
        index: in the video.
        name: in the source.
        stamp_ns: acquisition time; None if the source has none.
        path: sub-network that processed the frame, counted from 0.
        memory_frames: past frames that it used.
        reset_reason: why the memory was emptied before the frame; None if it was continued.
        pixel_accuracy: share of the labelled pixels that are right, 0 to 1; None without labels.
        mean_iou: mean IoU of the classes in ground truth or labels; None without labels.
        vc8: of the clip of 8 frames that ends with this one: share of the pixels with the same
            ground truth in all its frames that also have the same label in all, 0 to 1; None
            without such a clip.
        vc16: the same of 16 frames.
        consistency: share of the pixels of the previous labels, carried over by optical flow,
            that agree with this frame's, 0 to 1; None without a previous frame, or if not
            measured.
        stages_ms: milliseconds by stage, and ``total``.
        age_ms: milliseconds from the moment the frame was due to its labels; None unless paced.
    """

    video: str
    index: Annotated[int, Range(0, 10**9)]
    name: str
    stamp_ns: _Stamp
    path: _Byte
    memory_frames: _Byte
    reset_reason: str | None
    pixel_accuracy: _Share = None
    mean_iou: _Share = None
    consistency: _Share = None
    vc8: _Share = None
    vc16: _Share = None
    stages_ms: Mapping[str, _Time]
    age_ms: _Time | None = None


@dataclass(frozen=True)
class WorstFrame:
    """A frame with low IoU, as pictures for the report.

    Attributes:
        record: of the frame.
        image: JPEG of the camera image.
        truth: PNG of the ground truth in colour.
        prediction: PNG of the network's labels in colour.
    """

    record: FrameRecord
    image: _Picture
    truth: _Picture
    prediction: _Picture


@dataclass(frozen=True)
class Setting:
    """Network, source and machine of an evaluation.

    Attributes:
        source: in the user's words.
        split: of the data set; empty for bags.
        mode: ``every-frame`` or ``paced``; ``node`` for labels that a node published.
        variant: name of the network.
        weights: file name of the weights, or `PACKAGED`.
        weights_sha256: of the file.
        input_size: height and width of the network input.
        device: of the network.
        precision: of the network.
        class_names: by class id.
        class_colors: (r, g, b) by class id.
        hardware: processor, cores and GPU.
        versions: of Python, torch and tdnet.
        git_commit: of the checkout; empty outside one.
        started: ISO 8601, UTC.
        processes: number of processes that shared the work.
        runtime: of the network.
        memory: ``full``, ``none`` or ``foreign``: the past that frames were segmented with.
        damage: of the camera images, as text of `tdnet_offline.damage.Damage`.
        seed: of the damage.
        smoothing: share of the frame before where a frame is unsure.
        flow: optical flow of the consistency: ``exact`` or ``estimated``, or both; empty: the
            consistency was not measured.
    """

    source: str
    split: str
    mode: str
    variant: str
    weights: str
    weights_sha256: str
    input_size: tuple[_Side, _Side]
    device: str
    precision: str
    class_names: Mapping[_Byte, str]
    class_colors: Mapping[_Byte, tuple[_Byte, _Byte, _Byte]]
    hardware: str
    versions: Mapping[str, str]
    git_commit: str
    started: str
    processes: _Count
    runtime: str = "torch"
    memory: str = "full"
    damage: str = "none"
    seed: _Count = 0
    smoothing: Annotated[float, Range(0, 1)] = 0.0
    flow: str = "estimated"

    @property
    def seeded_damage(self) -> str:
        """Damage, and its seed unless there is no damage."""
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
        frames: number of these frames.
        used: (K, K + 1) pixel counts as of `Evaluation.confusions`, with the memory.
        withheld: the same without it.
        pixels: of all these frames.
        changed: pixels whose label differs between the two.
    """

    frames: _Count
    used: _Counts
    withheld: _Counts
    pixels: _Count
    changed: _Count

    def __add__(self, other: WithheldMemory) -> WithheldMemory:
        """Add the counts of other frames."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return WithheldMemory(*(one + another for one, another in pairs))


@dataclass(frozen=True)
class _PathConfusion:
    """An entry of `Evaluation.confusions` in its file."""

    path: _Byte
    memory_frames: _Byte
    counts: _Counts


_Confusions = Annotated[
    Mapping[tuple[int, int], Counts],
    Stored(
        tuple[_PathConfusion, ...],
        decode=lambda parts: {(part.path, part.memory_frames): part.counts for part in parts},
        encode=lambda counts: [_PathConfusion(*key, part) for key, part in counts.items()],
    ),
]


@dataclass(frozen=True)
class Evaluation:
    """The measurements of one run.

    Class axes are in ascending order of class id; K classes.

    Attributes:
        setting: network, source and machine.
        confusions: (K, K + 1) pixel counts by (path, memory frames): rows are true classes,
            columns predicted ones, the last column pixels without a label.
        boundary: (K, 4) counts of boundary pixels: predicted, predicted near a true one, true,
            true near a predicted one.
        consistency: (K + 1, K + 1) pixel counts: rows are the classes of the previous frame's
            labels carried over by optical flow, columns those of this frame; the last row and
            column are pixels without a label. Pixels without a label in both do not count.
        truth_consistency: the same counts of the ground truth, from neighbouring frames that are
            both labelled: an upper limit of `consistency`. None without such frames, or if not
            measured.
        frames: of every segmented frame, in order of video and index.
        dropped: frames superseded by a newer one, by video.
        refused: frames that could not be read, by video.
        seconds: duration of the run.
        worst: frames with the lowest IoU, lowest first.
        available: (K, K + 1) pixel counts as in `confusions`: the ground truth of each labelled
            frame, dropped or not, against the newest labels at the moment the frame was due.
            This is what an application sees. None unless paced.
        waited_seconds: time for which the clock of a paced run stood still because reading the
            source fell behind real time; a robot would have dropped more frames.
        withheld_memory: effect of withholding the memory on the labelled frames; None if it was
            not measured, or no labelled frame had a full memory.
    """

    setting: Setting
    confusions: _Confusions
    boundary: _Counts
    consistency: _Counts
    truth_consistency: _Counts | None
    frames: tuple[FrameRecord, ...]
    dropped: Mapping[str, _Count]
    refused: Mapping[str, _Count]
    seconds: _Time
    worst: tuple[WorstFrame, ...] = ()
    available: _Counts | None = None
    waited_seconds: _Time = 0.0
    withheld_memory: WithheldMemory | None = None


def comparison_warning(settings: Sequence[Setting]) -> str:
    """Return why scores must not be compared, such as different sources; empty if they may."""
    sources = dict.fromkeys(f"{item.source} {item.split}".rstrip() for item in settings)
    classes = {tuple(sorted(item.class_names.items())) for item in settings}
    different = [
        f"of different sources ({', '.join(sources)})" if len(sources) > 1 else "",
        "of different classes" if len(classes) > 1 else "",
        "by different optical flow" if len({item.flow for item in settings}) > 1 else "",
    ]
    reasons = " and ".join(reason for reason in different if reason)
    return f"The evaluations are {reasons}: do not compare their scores." if reasons else ""
