"""Measures one setting, in a process of its own."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tdnet.segmenter import StreamingSegmenter
from tdnet.settings import SegmenterSettings
from tdnet_offline.benchmark.arithmetic import peak_multiply_adds
from tdnet_offline.benchmark.camera_frames import to_and_fro
from tdnet_offline.benchmark.comparison import compare, plain_formulation
from tdnet_offline.benchmark.counting import largest
from tdnet_offline.benchmark.profiling import profile_frames
from tdnet_offline.benchmark.resources import measure_memory, resident_bytes
from tdnet_offline.benchmark.result import ColdStart, OperatorCost, Run, Setting
from tdnet_offline.benchmark.timed_frames import OPTIONS, Image, Ours, Times, frame_numbers
from tdnet_offline.evaluation.metrics import percentiles
from tdnet_offline.operations import count_operations

SECONDS_ALONE = 8.0
SECONDS_IN_TURNS = 16.0


@dataclass(frozen=True)
class Job:
    """What a process is to measure.

    Attributes:
        setting: the network and its sizes.
        weights: file.
        frames: ``.npy`` file of (F, H, W, 3) uint8 RGB.
        num_frames: how many are measured; None: as many as fit into some seconds.
        profile: folder for a profile; None: none.
        exported: folder of the graphs that another runtime than PyTorch runs.
    """

    setting: Setting
    weights: Path
    frames: Path
    num_frames: int | None
    profile: Path | None
    exported: Path | None = None


def measure(job: Job, started: float) -> Run:
    """Measure a setting.

    Args:
        job: what to measure.
        started: `time.monotonic` when this process was started.

    Raises:
        TdnetError: the network cannot be loaded, or the device failed.
        OSError: the profile cannot be written.
    """
    cold = _ColdClock(started)
    libraries = resident_bytes()
    images = to_and_fro(np.load(job.frames))
    cold.leave_out()
    segmenter = _start(job, images, cold)
    device, variant = segmenter.device, segmenter.variant

    ours, alone = Ours(segmenter.open_stream(), device), Times()
    for _ in range(variant.paths):
        ours.step(next(images))
    gc.collect()
    for _ in frame_numbers(job.num_frames, SECONDS_ALONE):
        ours.step(next(images), alone)
    memory = measure_memory(device, libraries)
    counts = [ours.count(next(images)) for _ in range(variant.paths)]
    operators = _profile(job, ours, images, device, variant.paths)
    # PyTorch has no product of 8-bit matrices for every device.
    peak = peak_multiply_adds(device, "float32" if job.exported else segmenter.precision)
    plain = plain_formulation(segmenter, job.weights)
    versus = compare(ours, plain, images, segmenter, job.num_frames, SECONDS_IN_TURNS)

    total = percentiles(alone.frame_to_labels)
    cost = count_operations(variant, segmenter.input_size, segmenter.class_map.num_network_classes)
    floor = cost.multiply_adds / peak * 1e3
    return Run(
        setting=job.setting,
        threads=torch.get_num_threads(),
        cold_start=cold.result(),
        frame_to_labels_ms=total,
        stages_ms=alone.stage_percentiles(),
        after_ms=percentiles(alone.after),
        latencies_ms=tuple(alone.frame_to_labels),
        frames_per_second=1e3 * total.count / (sum(alone.frame_to_labels) + sum(alone.after)),
        memory=memory,
        counts=largest([before for before, _ in counts]),
        counts_after=largest([after for _, after in counts]),
        multiply_adds=cost.multiply_adds,
        peak_multiply_adds=peak,
        floor_ms=floor,
        times_floor=total.p50 / floor,
        versus=versus,
        operators=operators,
    )


class _ColdClock:
    """Seconds between marks, the first from the start of the process."""

    def __init__(self, started: float) -> None:
        self._last = started
        self._seconds: list[float] = []
        self.mark()

    def mark(self) -> None:
        now = time.monotonic()
        self._seconds.append(now - self._last)
        self._last = now

    def leave_out(self) -> None:
        """Leave out the time since the last mark: what only the benchmark needs."""
        self._last = time.monotonic()

    def result(self) -> ColdStart:
        libraries, model, warm_up, first_frame = self._seconds
        return ColdStart(libraries, model, warm_up, first_frame, sum(self._seconds))


def _start(job: Job, images: Iterator[Image], clock: _ColdClock) -> StreamingSegmenter:
    """Load and warm up the network as the node does, and segment a frame."""
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
    segmenter.step(next(images), OPTIONS)
    clock.mark()
    return segmenter


def _profile(
    job: Job, ours: Ours, images: Iterator[Image], device: torch.device, frames: int
) -> tuple[OperatorCost, ...]:
    if job.profile is None:
        return ()
    name = job.setting.file_name
    return profile_frames(lambda: ours.step(next(images)), frames, device, job.profile, name)
