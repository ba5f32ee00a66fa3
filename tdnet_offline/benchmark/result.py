"""What a benchmark measured; docs/benchmark.md defines every number."""

from __future__ import annotations

from dataclasses import dataclass

from tdnet_offline.evaluation.metrics import Percentiles
from tdnet_offline.evaluation.result import numbers_text


@dataclass(frozen=True)
class Setting:
    """What one run measures.

    Attributes:
        variant: name of the network.
        weights: ``packaged``, ``random``, or the name of a file.
        input_size: height and width of the network input.
        camera_size: height and width of the frames, and of the labels.
        device: such as ``cpu``.
        precision: such as ``float32``.
        runtime: what runs the network.
    """

    variant: str
    weights: str
    input_size: tuple[int, int]
    camera_size: tuple[int, int]
    device: str
    precision: str
    runtime: str = "torch"

    @property
    def numbers(self) -> str:
        """Precision, and runtime if it is not PyTorch."""
        return numbers_text(self.precision, self.runtime)

    @property
    def file_name(self) -> str:
        """How files about it begin."""
        height, width = self.input_size
        device = self.device.replace(":", "")
        numbers = self.numbers.replace(", ", "-")
        return f"{self.variant}-{height}x{width}-{device}-{numbers}"


@dataclass(frozen=True)
class ColdStart:
    """Seconds from the start of a new process to its first labels.

    Attributes:
        libraries: start of Python, imports.
        model: the network is created, its weights are read and moved to the device.
        warm_up: every sub-network runs once.
        first_frame: the first camera frame becomes labels.
        total: all of it.
    """

    libraries: float
    model: float
    warm_up: float
    first_frame: float
    total: float


@dataclass(frozen=True)
class Memory:
    """Bytes; those of the device are None where it is the host.

    Attributes:
        host_libraries: resident before there is a network.
        host_steady: resident while frames are segmented.
        host_peak: the most up to then, with loading and warm-up.
        device_steady: in tensors, between two frames.
        device_peak: in tensors, the most so far.
        device_reserved: taken from the device by PyTorch, which keeps some of it ready.
    """

    host_libraries: int
    host_steady: int
    host_peak: int
    device_steady: int | None
    device_peak: int | None
    device_reserved: int | None


@dataclass(frozen=True)
class Counts:
    """What a frame costs whatever the machine's speed; of the frames of a round the largest.

    Attributes:
        operators: PyTorch operators launched by Python that compute or copy; views are not
            counted, and what a replayed graph or a kernel of ours launches counts as none.
        bytes_allocated: of new tensors.
        transfers: copies between host and device.
        synchronisations: times that the host waits for the device: copies to the host that it
            waits for, and single values read by Python.
    """

    operators: int
    bytes_allocated: int
    transfers: int
    synchronisations: int


@dataclass(frozen=True)
class OperatorCost:
    """An operator of the profile; on CUDA a kernel, or a copy.

    Attributes:
        name: as PyTorch's profiler calls it.
        calls: per frame.
        milliseconds: per frame, without the operators that it calls.
        share: of the time of all operators.
    """

    name: str
    calls: float
    milliseconds: float
    share: float


@dataclass(frozen=True)
class Comparison:
    """Ours and the plain formulation, frame by frame in turns.

    Attributes:
        frame_to_labels_ms: of ours, in these turns.
        plain_frame_to_labels_ms: of the plain formulation, always float32.
        plain_stages_ms: its stages.
        ratio: the plain median over ours: how many times as fast ours is.
        label_agreement: share of the pixels with the same label, of a frame of the network's size
            with a full memory; below 1 by the precision of ours.
    """

    frame_to_labels_ms: Percentiles
    plain_frame_to_labels_ms: Percentiles
    plain_stages_ms: dict[str, Percentiles]
    ratio: float
    label_agreement: float


@dataclass(frozen=True)
class Run:
    """All that was measured of one setting.

    Attributes:
        setting: what was measured.
        threads: of PyTorch on the host.
        cold_start: of the process that measured it.
        frame_to_labels_ms: from `step` being called to labels on the host, memory full.
        stages_ms: of it, by stage.
        after_ms: work for the next frame after the labels are out (`commit_memory`).
        latencies_ms: frame to labels of every frame, in order.
        frames_per_second: one after the other, with what follows the labels.
        memory: on host and device.
        counts: of `step`.
        counts_after: of `commit_memory`.
        multiply_adds: of a frame.
        peak_multiply_adds: a second, of a matrix product of the same precision on the device.
        floor_ms: the frame's multiply-adds at that peak.
        times_floor: median frame to labels over the floor.
        versus: against the plain formulation.
        operators: the dearest ones, if there was a profile.
    """

    setting: Setting
    threads: int
    cold_start: ColdStart
    frame_to_labels_ms: Percentiles
    stages_ms: dict[str, Percentiles]
    after_ms: Percentiles
    latencies_ms: tuple[float, ...]
    frames_per_second: float
    memory: Memory
    counts: Counts
    counts_after: Counts
    multiply_adds: int
    peak_multiply_adds: float
    floor_ms: float
    times_floor: float
    versus: Comparison
    operators: tuple[OperatorCost, ...]


@dataclass(frozen=True)
class FailedRun:
    """A setting that could not be measured.

    Attributes:
        setting: what should have been.
        reason: one line.
    """

    setting: Setting
    reason: str


@dataclass(frozen=True)
class Accuracy:
    """What a precision does to the labels.

    Attributes:
        variant: name of the network.
        weights: ``packaged``, ``random``, or the name of a file.
        input_size: height and width of the network input.
        device: such as ``cpu``.
        precision: such as ``bfloat16``.
        source: the frames.
        frames: how many.
        label_agreement: share of the pixels with the label that float32 gives.
        mean_iou: against the true labels, 0 to 1; None without them, or with random weights.
        mean_iou_float32: the same of float32, run by PyTorch.
        runtime: what runs the network.
    """

    variant: str
    weights: str
    input_size: tuple[int, int]
    device: str
    precision: str
    source: str
    frames: int
    label_agreement: float
    mean_iou: float | None
    mean_iou_float32: float | None
    runtime: str = "torch"

    @property
    def numbers(self) -> str:
        """Precision, and runtime if it is not PyTorch."""
        return numbers_text(self.precision, self.runtime)


@dataclass(frozen=True)
class Benchmark:
    """One call of `tdnet benchmark`.

    Attributes:
        hardware: processor, cores and GPUs in one line.
        versions: of Python, torch and tdnet.
        git_commit: of the checkout; empty outside one.
        started: when, ISO 8601, UTC.
        frames: what was segmented.
        runs: in the order in which they ran.
        failed: those that did not come to an end.
        accuracy: by precision; empty unless asked for.
    """

    hardware: str
    versions: dict[str, str]
    git_commit: str
    started: str
    frames: str
    runs: tuple[Run, ...]
    failed: tuple[FailedRun, ...]
    accuracy: tuple[Accuracy, ...]
