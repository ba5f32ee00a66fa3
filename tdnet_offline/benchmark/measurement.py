"""The measurement of one setting, in a process of its own."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from tdnet._util.process_usage import usage_of
from tdnet.frames.postprocess import OutputOptions
from tdnet.segmenter import StreamingSegmenter
from tdnet.settings import SegmenterSettings
from tdnet_offline.benchmark.benchmark_result import (
    BenchmarkRun,
    BenchmarkSetting,
    ColdStart,
    MemoryUse,
    OperatorCost,
)
from tdnet_offline.benchmark.camera_frames import to_and_fro
from tdnet_offline.benchmark.instruments import (
    count,
    largest,
    peak_multiply_adds,
    profile_frames,
)
from tdnet_offline.evaluation.metrics import percentiles
from tdnet_offline.operations import count_operations

SECONDS = 8.0
"""Length of the timed part if the number of frames is not given."""
LEAST_FRAMES = 8
MOST_FRAMES = 500
LABELS_ONLY = OutputOptions(confidence=False)

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Job:
    """The input of one measurement.

    Attributes:
        setting: network, sizes, device and precision.
        weights: weights file.
        frames: ``.npy`` file of (F, H, W, 3) uint8 RGB.
        num_frames: number of timed frames; None: as many as fit into `SECONDS`.
        profile: folder of a profile; None: no profile.
        exported: folder of exported graphs, for any runtime but PyTorch.
    """

    setting: BenchmarkSetting
    weights: Path
    frames: Path
    num_frames: int | None
    profile: Path | None
    exported: Path | None = None


def measure(job: Job, started: float) -> BenchmarkRun:
    """Measure a setting.

    Args:
        job: what to measure.
        started: `time.monotonic` at the start of this process.

    Raises:
        TdnetError: the network cannot be loaded, or the device failed.
        OSError: the profile cannot be written.
    """
    cold = _ColdStartClock(started)
    libraries = _host_memory()[0]
    images = to_and_fro(np.load(job.frames))
    cold.skip()
    segmenter = _start(job, images, cold)
    device, variant = segmenter.device, segmenter.variant

    for _ in range(variant.paths):
        _timed_step(segmenter, next(images))
    gc.collect()
    times = FrameTimes()
    for _ in frame_numbers(job.num_frames, SECONDS):
        _timed_step(segmenter, next(images), times)
    memory = _memory_use(device, libraries)
    counts = []
    for _ in range(variant.paths):
        before = count(partial(segmenter.step, next(images), LABELS_ONLY))
        counts.append((before, count(segmenter.commit_memory)))
    operators = _profile(job, segmenter, images)
    # PyTorch has no 8-bit matrix product on every device.
    peak = peak_multiply_adds(device, "float32" if job.exported else segmenter.precision)

    total = percentiles(times.frame_to_labels)
    cost = count_operations(variant, segmenter.input_size, segmenter.class_map.num_network_classes)
    floor = cost.multiply_adds / peak * 1e3
    stages = {name: percentiles(each[name] for each in times.stages) for name in times.stages[0]}
    return BenchmarkRun(
        setting=job.setting,
        threads=torch.get_num_threads(),
        cold_start=cold.result(),
        frame_to_labels_ms=total,
        stages_ms=stages,
        after_ms=percentiles(times.after),
        latencies_ms=tuple(times.frame_to_labels),
        frames_per_second=1e3 * total.count / (sum(times.frame_to_labels) + sum(times.after)),
        memory=memory,
        counts=largest([before for before, _ in counts]),
        counts_after=largest([after for _, after in counts]),
        multiply_adds=cost.multiply_adds,
        peak_multiply_adds=peak,
        floor_ms=floor,
        times_floor=total.p50 / floor,
        operators=operators,
    )


def frame_numbers(num_frames: int | None, seconds: float) -> Iterator[int]:
    """Number the frames of a measurement from 0.

    Args:
        num_frames: number of frames; None: as many as fit into `seconds`, `LEAST_FRAMES` to
            `MOST_FRAMES`.
        seconds: length of the measurement.
    """
    end = time.monotonic() + seconds
    for number in range(num_frames or MOST_FRAMES):
        if num_frames is None and number >= LEAST_FRAMES and time.monotonic() > end:
            return
        yield number


@dataclass
class FrameTimes:
    """Times in milliseconds.

    Attributes:
        frame_to_labels: time of each frame.
        stages: time of each stage of each frame.
        after: time that each frame took after its labels, for the next frame.
    """

    frame_to_labels: list[float] = field(default_factory=list)
    stages: list[dict[str, float]] = field(default_factory=list)
    after: list[float] = field(default_factory=list)


def _timed_step(
    segmenter: StreamingSegmenter, image: Image, times: FrameTimes | None = None
) -> None:
    """Segment a frame and prepare for the next one; append the times if `times` is given."""
    begin = time.perf_counter()
    result = segmenter.step(image, LABELS_ONLY)
    labelled = time.perf_counter()
    segmenter.commit_memory()
    if segmenter.device.type == "cuda":
        torch.cuda.synchronize(segmenter.device)
    end = time.perf_counter()
    if times is not None:
        names = (stage.name for stage in fields(result.times) if stage.name != "overlay")
        times.frame_to_labels.append((labelled - begin) * 1e3)
        times.stages.append({name: getattr(result.times, name) for name in names})
        times.after.append((end - labelled) * 1e3)


class _ColdStartClock:
    """Seconds between marks, the first from the start of the process."""

    def __init__(self, started: float) -> None:
        self._last = started
        self._seconds: list[float] = []
        self.mark()

    def mark(self) -> None:
        now = time.monotonic()
        self._seconds.append(now - self._last)
        self._last = now

    def skip(self) -> None:
        """Exclude the time since the last mark: it is spent on the benchmark only."""
        self._last = time.monotonic()

    def result(self) -> ColdStart:
        libraries, model, warm_up, first_frame = self._seconds
        return ColdStart(libraries, model, warm_up, first_frame, sum(self._seconds))


def _start(job: Job, images: Iterator[Image], clock: _ColdStartClock) -> StreamingSegmenter:
    """Load and warm up the network as the node does, and segment one frame."""
    setting = job.setting
    segmenter = SegmenterSettings(
        variant=setting.variant,
        weights=str(job.exported or job.weights),
        device=setting.device,
        precision="auto" if job.exported else setting.precision,
        input_size=setting.input_size,
        runtime=setting.runtime,
    ).build()
    clock.mark()
    segmenter.warm_up()
    clock.mark()
    segmenter.step(next(images), LABELS_ONLY)
    clock.mark()
    return segmenter


def _profile(
    job: Job, segmenter: StreamingSegmenter, images: Iterator[Image]
) -> tuple[OperatorCost, ...]:
    if job.profile is None:
        return ()
    return profile_frames(
        lambda: _timed_step(segmenter, next(images)),
        segmenter.variant.paths,
        segmenter.device,
        job.profile,
        job.setting.file_name,
    )


def _memory_use(device: torch.device, libraries: int) -> MemoryUse:
    """Read the memory of this process on the host and on the device."""
    host = libraries, *_host_memory()
    if device.type != "cuda":
        return MemoryUse(*host, None, None, None)
    return MemoryUse(
        *host,
        torch.cuda.memory_allocated(device),
        torch.cuda.max_memory_allocated(device),
        torch.cuda.max_memory_reserved(device),
    )


def _host_memory() -> tuple[int, int]:
    """Resident memory of this process and its peak, in bytes."""
    memory = usage_of()
    if memory is None:
        raise OSError("/proc/self/status has no memory fields")
    return int(memory.resident_mib * 2**20), int(memory.peak_mib * 2**20)
