"""The results of a benchmark and their JSON file; docs/benchmark.md defines every number."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tdnet._util.percentiles import Percentiles
from tdnet_offline.evaluation.result import numbers_text
from tdnet_offline.writers.atomic_files import replacing

FORMAT = "tdnet benchmark"
VERSION = 3
PACKAGED, RANDOM = "packaged", "random"
"""Names of weights that are not a file of the user."""


@dataclass(frozen=True)
class BenchmarkSetting:
    """The setting of one run.

    Attributes:
        variant: name of the network.
        weights: `PACKAGED`, `RANDOM`, or the name of a file.
        input_size: height and width of the network input.
        camera_size: height and width of the frames, and of the labels.
        device: such as ``cpu``.
        precision: such as ``float32``.
        runtime: runtime of the network, such as ``torch``.
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
        """Precision, and the runtime unless it is PyTorch."""
        return numbers_text(self.precision, self.runtime)

    @property
    def file_name(self) -> str:
        """Prefix of the names of files about this setting."""
        height, width = self.input_size
        device = self.device.replace(":", "")
        numbers = self.numbers.replace(", ", "-").replace(":", "-")
        return f"{self.variant}-{height}x{width}-{device}-{numbers}"


@dataclass(frozen=True)
class ColdStart:
    """Seconds of each part from the start of a new process to its first labels, and their sum."""

    libraries: float
    model: float
    warm_up: float
    first_frame: float
    total: float


@dataclass(frozen=True)
class MemoryUse:
    """Memory in bytes; device memory is None on the CPU."""

    host_libraries: int
    host_steady: int
    host_peak: int
    device_steady: int | None = None
    device_peak: int | None = None
    device_reserved: int | None = None


@dataclass(frozen=True)
class OperatorCounts:
    """Operations of a frame; the maximum over one frame of each sub-network."""

    operators: int
    bytes_allocated: int
    transfers: int
    synchronisations: int


@dataclass(frozen=True)
class OperatorCost:
    """An operator of the profile, on CUDA a kernel or a copy; calls and time are per frame."""

    name: str
    calls: float
    milliseconds: float
    share: float


@dataclass(frozen=True)
class BenchmarkRun:
    """The measurements of one setting.

    Attributes:
        threads: threads of PyTorch on the host.
        frame_to_labels_ms: call of `step` to labels on the host, memory full.
        after_ms: `commit_memory`, after the labels are out.
        latencies_ms: frame to labels of every frame, in order.
        counts: operations of `step`.
        counts_after: operations of `commit_memory`.
        multiply_adds: multiply-adds of a frame; None, as what follows from it: not counted in
            adopted graphs.
        peak_multiply_adds: multiply-adds per second of a matrix product in the same precision.
        operators: slowest operators; empty without a profile.
    """

    setting: BenchmarkSetting
    threads: int
    cold_start: ColdStart
    frame_to_labels_ms: Percentiles
    stages_ms: dict[str, Percentiles]
    after_ms: Percentiles
    latencies_ms: tuple[float, ...]
    frames_per_second: float
    memory: MemoryUse
    counts: OperatorCounts
    counts_after: OperatorCounts
    multiply_adds: int | None
    peak_multiply_adds: float
    floor_ms: float | None
    times_floor: float | None
    operators: tuple[OperatorCost, ...]


@dataclass(frozen=True)
class FailedRun:
    """A setting that could not be measured, and the reason in one line."""

    setting: BenchmarkSetting
    reason: str


@dataclass(frozen=True)
class Accuracy:
    """The effect of a precision on the labels; shares of 0 to 1.

    Attributes:
        source: source of the frames.
        label_agreement: share of pixels with the same label as in float32 in PyTorch.
        mean_iou: None without ground truth or with random weights.
    """

    setting: BenchmarkSetting
    source: str
    frames: int
    label_agreement: float
    mean_iou: float | None
    mean_iou_float32: float | None


@dataclass(frozen=True)
class Benchmark:
    """One call of `tdnet benchmark`.

    Attributes:
        hardware: processor, cores and GPUs in one line.
        versions: of Python, torch and tdnet.
        git_commit: of the checkout; empty outside one.
        started: start time, ISO 8601, UTC.
        frames: source of the frames.
        runs: runs, in order.
        failed: settings that could not be measured.
        accuracy: accuracy by precision; empty unless requested.
    """

    hardware: str
    versions: dict[str, str]
    git_commit: str
    started: str
    frames: str
    runs: tuple[BenchmarkRun, ...]
    failed: tuple[FailedRun, ...]
    accuracy: tuple[Accuracy, ...]


def save_benchmark(benchmark: Benchmark, path: Path) -> None:
    """Write a benchmark as JSON, with the fields of `Benchmark` by name.

    Raises:
        OSError: it cannot be written; an existing file stays as it was.
    """
    document = {"format": FORMAT, "version": VERSION, **asdict(benchmark)}
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, allow_nan=False)
        file.write("\n")
