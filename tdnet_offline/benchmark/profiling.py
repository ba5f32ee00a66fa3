"""Which operators a frame's time goes to, by PyTorch's profiler."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from tdnet_offline.benchmark.result import OperatorCost
from tdnet_offline.writers.atomic_files import replacing

KEPT = 12
_ROWS = 60


def profile_frames(
    frame: Callable[[], object], frames: int, device: torch.device, directory: Path, name: str
) -> tuple[OperatorCost, ...]:
    """Profile some frames; write ``NAME.trace.json`` for chrome://tracing, and ``NAME.txt``.

    Args:
        frame: segments the next frame.
        frames: how many.
        device: of the network.
        directory: folder for the files.
        name: how they begin.

    Returns:
        The dearest operators, on CUDA kernels and copies, the dearest first.

    Raises:
        OSError: a file cannot be written.
    """
    cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * cuda
    with profile(activities=activities) as profiler:
        for _ in range(frames):
            frame()
    with replacing(directory / f"{name}.trace.json") as temporary:
        profiler.export_chrome_trace(str(temporary))
    averages = profiler.key_averages()
    order = "self_cuda_time_total" if cuda else "self_cpu_time_total"
    with replacing(directory / f"{name}.txt") as temporary:
        temporary.write_text(
            averages.table(sort_by=order, row_limit=_ROWS, max_name_column_width=70),
            encoding="utf-8",
        )

    def microseconds(event: torch.autograd.profiler_util.FunctionEventAvg) -> float:
        return float(event.self_device_time_total if cuda else event.self_cpu_time_total)

    # Kernels of a replayed graph belong to no operator, so on CUDA the kernels themselves count.
    counted = [event for event in averages if not cuda or event.device_type.name == "CUDA"]
    whole = sum(map(microseconds, counted)) or 1.0
    dearest = sorted(counted, key=microseconds, reverse=True)[:KEPT]
    return tuple(
        OperatorCost(
            event.key,
            event.count / frames,
            microseconds(event) / frames / 1e3,
            microseconds(event) / whole,
        )
        for event in dearest
    )
