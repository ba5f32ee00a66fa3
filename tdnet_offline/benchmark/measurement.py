"""The measurement of one setting, in a process of its own."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from tdnet._util.percentiles import percentiles
from tdnet._util.process_usage import usage_of
from tdnet.backends import AUTO
from tdnet.frames.postprocess import OutputOptions
from tdnet.segmenter import StreamingSegmenter
from tdnet.settings import SegmenterSettings
from tdnet.variants import ADOPTED
from tdnet_offline.benchmark.benchmark_result import (
    BenchmarkRun,
    BenchmarkSetting,
    ColdStart,
    MemoryUse,
)
from tdnet_offline.benchmark.cases import split_runtime
from tdnet_offline.benchmark.instruments import (
    count,
    largest,
    peak_multiply_adds,
    profile_frames,
)
from tdnet_offline.operations import count_operations

SECONDS = 8.0
"""Length of the timed part if the number of frames is not given."""
LEAST_FRAMES, MOST_FRAMES = 8, 500
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
        exported: folder of graphs in 8-bit integers; None: the weights file is used.
    """

    setting: BenchmarkSetting
    weights: Path
    frames: Path
    num_frames: int | None = None
    profile: Path | None = None
    exported: Path | None = None

    def build_segmenter(self) -> StreamingSegmenter:
        """Load the network as the node does.

        Raises:
            TdnetError: it cannot be loaded.
        """
        setting = self.setting
        runtime, provider = split_runtime(setting.runtime)
        is_adopted = setting.variant == ADOPTED.name
        return SegmenterSettings(
            variant=AUTO if is_adopted else setting.variant,
            weights=str(self.exported or self.weights),
            device=setting.device,
            precision="auto" if self.exported else setting.precision,
            input_size=setting.input_size,
            runtime=runtime,
            provider=provider,
        ).build()


@dataclass(frozen=True)
class FrameTimes:
    """Milliseconds of a frame: to its labels, of each stage of it, and after the labels."""

    to_labels: float
    stages: dict[str, float]
    after: float


def measure(job: Job, started: float) -> BenchmarkRun:
    """Measure a setting.

    Args:
        job: what to measure.
        started: `time.monotonic` at the start of this process.

    Raises:
        TdnetError: the network cannot be loaded, or the device failed.
        OSError: the profile cannot be written.
    """
    libraries = time.monotonic() - started
    resident, _ = _host_memory()
    images = to_and_fro(np.load(job.frames))
    segmenter, cold_start = _start(job, images, libraries)
    device, variant = segmenter.device, segmenter.variant

    for _ in range(variant.paths):
        _timed_step(segmenter, next(images))
    gc.collect()
    times: list[FrameTimes] = []
    end = time.monotonic() + SECONDS
    while len(times) < (job.num_frames or MOST_FRAMES):
        if not job.num_frames and len(times) >= LEAST_FRAMES and time.monotonic() > end:
            break
        times.append(_timed_step(segmenter, next(images)))
    memory = _memory_use(device, resident)
    counts, counts_after = [], []
    for _ in range(variant.paths):
        counts.append(count(partial(segmenter.step, next(images), LABELS_ONLY)))
        counts_after.append(count(segmenter.commit_memory))
    operators = job.profile and profile_frames(
        lambda: _timed_step(segmenter, next(images)),
        variant.paths,
        device,
        job.profile / job.setting.file_name,
    )
    # PyTorch has no 8-bit matrix product on every device.
    peak = peak_multiply_adds(device, "float32" if job.exported else segmenter.precision)

    to_labels = tuple(frame.to_labels for frame in times)
    total = percentiles(to_labels)
    multiply_adds = floor = None
    if variant.name != ADOPTED.name:
        classes = segmenter.class_map.num_network_classes
        multiply_adds = count_operations(variant, segmenter.input_size, classes).multiply_adds
        floor = multiply_adds / peak * 1e3
    return BenchmarkRun(
        setting=job.setting,
        threads=torch.get_num_threads(),
        cold_start=cold_start,
        frame_to_labels_ms=total,
        stages_ms={
            name: percentiles(frame.stages[name] for frame in times) for name in times[0].stages
        },
        after_ms=percentiles(frame.after for frame in times),
        latencies_ms=to_labels,
        frames_per_second=1e3 * len(times) / sum(f.to_labels + f.after for f in times),
        memory=memory,
        counts=largest(counts),
        counts_after=largest(counts_after),
        multiply_adds=multiply_adds,
        peak_multiply_adds=peak,
        floor_ms=floor,
        times_floor=total.p50 / floor if floor else None,
        operators=operators or (),
    )


def to_and_fro(frames: npt.NDArray[np.uint8]) -> Iterator[Image]:
    """Yield frames endlessly, forwards and backwards: the view never jumps."""
    return cycle([*frames, *frames[-2:0:-1]])


def _start(
    job: Job, images: Iterator[Image], libraries: float
) -> tuple[StreamingSegmenter, ColdStart]:
    """Load and warm up the network as the node does, and segment one frame."""
    marks = [time.monotonic()]
    segmenter = job.build_segmenter()
    marks.append(time.monotonic())
    segmenter.warm_up()
    marks.append(time.monotonic())
    segmenter.step(next(images), LABELS_ONLY)
    marks.append(time.monotonic())
    model, warm_up, first_frame = np.diff(marks).tolist()
    total = libraries + marks[-1] - marks[0]
    return segmenter, ColdStart(libraries, model, warm_up, first_frame, total)


def _timed_step(segmenter: StreamingSegmenter, image: Image) -> FrameTimes:
    """Segment a frame and prepare for the next one."""
    begin = time.perf_counter()
    result = segmenter.step(image, LABELS_ONLY)
    labelled = time.perf_counter()
    segmenter.commit_memory()
    if segmenter.device.type == "cuda":
        torch.cuda.synchronize(segmenter.device)
    end = time.perf_counter()
    stages = {stage.name: getattr(result.times, stage.name) for stage in fields(result.times)}
    del stages["overlay"]
    return FrameTimes((labelled - begin) * 1e3, stages, (end - labelled) * 1e3)


def _memory_use(device: torch.device, libraries: int) -> MemoryUse:
    host = libraries, *_host_memory()
    if device.type != "cuda":
        return MemoryUse(*host)
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
