"""What a run is measured with: operator counts, the profiler, and the peak of matrix products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.benchmark import Timer

from tdnet._util.device import working_on
from tdnet_offline.benchmark.benchmark_result import OperatorCost, OperatorCounts
from tdnet_offline.writers.atomic_files import replacing

SLOWEST_OPERATORS = 12
"""Operators of a profile that the table, the page and the JSON list."""

_PROFILE_ROWS = 60
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
_READS_A_VALUE = torch.ops.aten._local_scalar_dense.default
_MATRIX_SIDES = {"cpu": (256, 512, 1024, 2048), "cuda": (2048, 4096, 8192)}
_MATRIX_SECONDS = 0.3


class OperatorCounter(TorchDispatchMode):
    """Count operators, allocations, transfers and synchronisations within a `with` statement.

    The counts do not depend on the speed of the machine.
    """

    def __init__(self) -> None:
        super().__init__()
        self._counts = [0, 0, 0, 0]

    @property
    def counts(self) -> OperatorCounts:
        """The counts so far."""
        return OperatorCounts(*self._counts)

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Run an operator and count it."""
        # In inference mode a composite operator arrives in one piece. Running its own kernel
        # splits it; `decompose` may split it in another way, which is meant for compilers.
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSITE):
            with self:
                return func._op_dk(_COMPOSITE, *args, **(kwargs or {}))
        result = func(*args, **(kwargs or {}))
        given, returned = _tensors((args, kwargs)), _tensors(result)
        known = {_storage(tensor) for tensor in given}
        new = {_storage(tensor): tensor for tensor in returned if _storage(tensor) not in known}
        reads = func is _READS_A_VALUE
        empty = "empty" in func.overloadpacket.__name__
        if (new or func._schema.is_mutable or reads) and not empty:
            self._counts[0] += 1
        self._counts[1] += sum(_bytes(tensor) for tensor in new.values())
        devices = [tensor.device.type for tensor in (*given, *returned)]
        if len({*devices}) > 1 and returned:
            self._counts[2] += 1
            asynchronous = (kwargs or {}).get("non_blocking", False) or (args and args[-1] is True)
            reads |= returned[0].device.type == "cpu" and not asynchronous
        self._counts[3] += reads
        return result


def count(action: Callable[[], object]) -> OperatorCounts:
    """Count the operators of an action."""
    with OperatorCounter() as counter:
        action()
    return counter.counts


def largest(counts: Sequence[OperatorCounts]) -> OperatorCounts:
    """Return the largest value of each count; at least one is required."""
    return OperatorCounts(*np.max([astuple(each) for each in counts], axis=0).tolist())


def profile_frames(
    frame: Callable[[], object], frames: int, device: torch.device, path: Path
) -> tuple[OperatorCost, ...]:
    """Profile some frames; write ``PATH.trace.json`` for chrome://tracing, and ``PATH.txt``.

    Args:
        frame: segments the next frame.
        frames: number of frames.
        device: device of the network.
        path: of the files, without their suffixes.

    Returns:
        The slowest operators (on CUDA: kernels and copies), slowest first.

    Raises:
        OSError: a file cannot be written.
    """
    cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * cuda
    with profile(activities=activities) as profiler:
        for _ in range(frames):
            frame()
    with replacing(path.with_name(f"{path.name}.trace.json")) as temporary:
        profiler.export_chrome_trace(str(temporary))
    averages = profiler.key_averages()
    time_of = "self_device_time_total" if cuda else "self_cpu_time_total"
    table = averages.table(sort_by=time_of, row_limit=_PROFILE_ROWS, max_name_column_width=70)
    with replacing(path.with_name(f"{path.name}.txt")) as temporary:
        temporary.write_text(table, encoding="utf-8")

    # Kernels of a replayed graph belong to no operator, so on CUDA the kernels are counted.
    counted = [event for event in averages if not cuda or event.device_type.name == "CUDA"]
    microseconds = {event: float(getattr(event, time_of)) for event in counted}
    whole = sum(microseconds.values()) or 1.0
    slowest = sorted(counted, key=microseconds.__getitem__, reverse=True)[:SLOWEST_OPERATORS]
    return tuple(
        OperatorCost(
            name=event.key,
            calls=event.count / frames,
            milliseconds=microseconds[event] / frames / 1e3,
            share=microseconds[event] / whole,
        )
        for event in slowest
    )


@torch.inference_mode()
def peak_multiply_adds(device: torch.device, precision: str) -> float:
    """Measure the highest rate of multiply-adds per second of a square matrix product.

    On CUDA, float32 is measured with TF32 if the convolutions of PyTorch use it.

    Args:
        device: device to measure.
        precision: number format, such as ``"bfloat16"``.

    Raises:
        DeviceError: the device failed, or lacks memory.
    """
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_tf32
    matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    best = 0.0
    try:
        with working_on(device):  # The timer synchronises the current device.
            for side in _MATRIX_SIDES[device.type]:
                a = torch.randn(side, side, device=device).to(getattr(torch, precision))
                timer = Timer(
                    "torch.mm(a, a, out=out)",
                    globals={"a": a, "out": torch.empty_like(a), "torch": torch},
                    num_threads=torch.get_num_threads(),
                )
                seconds = min(timer.blocked_autorange(min_run_time=_MATRIX_SECONDS).times)
                best = max(best, side**3 / seconds)
                # A slow format shows in a small product; larger ones would take minutes.
                if seconds > _MATRIX_SECONDS:
                    break
    finally:
        matmul.allow_tf32 = before
    return best


def _tensors(values: object) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


def _storage(tensor: Tensor) -> int:
    """Identify the storage; a tensor in oneDNN's own layout has none that PyTorch sees."""
    return tensor.untyped_storage()._cdata if tensor.layout == torch.strided else id(tensor)


def _bytes(tensor: Tensor) -> int:
    strided = tensor.layout == torch.strided
    return tensor.untyped_storage().nbytes() if strided else tensor.numel() * tensor.element_size()
