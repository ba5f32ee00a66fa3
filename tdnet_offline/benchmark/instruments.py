"""What a run is measured with: operator counts, the profiler, and the peak of matrix products."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tdnet_offline.benchmark.benchmark_result import OperatorCost, OperatorCounts
from tdnet_offline.writers.atomic_files import replacing

SLOWEST_OPERATORS = 12
"""Operators of a profile that the table, the page and the JSON list."""

_PROFILE_ROWS = 60
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
_READS_A_VALUE = torch.ops.aten._local_scalar_dense.default
_MATRIX_SIDES = {"cpu": (256, 512, 1024, 2048), "cuda": (2048, 4096, 8192)}
_MATRIX_SECONDS = 0.3
_MATRIX_REPEATS = 3


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
    return OperatorCounts(
        max(each.operators for each in counts),
        max(each.bytes_allocated for each in counts),
        max(each.transfers for each in counts),
        max(each.synchronisations for each in counts),
    )


def profile_frames(
    frame: Callable[[], object], frames: int, device: torch.device, directory: Path, name: str
) -> tuple[OperatorCost, ...]:
    """Profile some frames; write ``NAME.trace.json`` for chrome://tracing, and ``NAME.txt``.

    Args:
        frame: segments the next frame.
        frames: number of frames.
        device: device of the network.
        directory: folder of the files.
        name: prefix of the file names.

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
    with replacing(directory / f"{name}.trace.json") as temporary:
        profiler.export_chrome_trace(str(temporary))
    averages = profiler.key_averages()
    order = "self_cuda_time_total" if cuda else "self_cpu_time_total"
    with replacing(directory / f"{name}.txt") as temporary:
        temporary.write_text(
            averages.table(sort_by=order, row_limit=_PROFILE_ROWS, max_name_column_width=70),
            encoding="utf-8",
        )

    def microseconds(event: torch.autograd.profiler_util.FunctionEventAvg) -> float:
        return float(event.self_device_time_total if cuda else event.self_cpu_time_total)

    # Kernels of a replayed graph belong to no operator, so on CUDA the kernels are counted.
    counted = [event for event in averages if not cuda or event.device_type.name == "CUDA"]
    whole = sum(map(microseconds, counted)) or 1.0
    slowest = sorted(counted, key=microseconds, reverse=True)[:SLOWEST_OPERATORS]
    return tuple(
        OperatorCost(
            event.key,
            event.count / frames,
            microseconds(event) / frames / 1e3,
            microseconds(event) / whole,
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
    """
    dtype = getattr(torch, precision)
    best = 0.0
    with _tf32_as_in_convolutions():
        for side in _MATRIX_SIDES[device.type]:
            a = torch.randn(side, side, device=device).to(dtype)
            out = torch.empty_like(a)
            seconds = _product_seconds(a, out, 1)  # the first use of a shape loads kernels
            # A slow format shows in a small product; larger ones would take minutes.
            if seconds > _MATRIX_SECONDS:
                best = max(best, side**3 / seconds)
                break
            times = max(1, min(100, int(_MATRIX_SECONDS / _MATRIX_REPEATS / max(seconds, 1e-6))))
            fastest = min(_product_seconds(a, out, times) for _ in range(_MATRIX_REPEATS))
            best = max(best, side**3 * times / fastest)
    return best


def _product_seconds(a: Tensor, out: Tensor, times: int) -> float:
    _synchronize(a.device)
    begin = time.perf_counter()
    for _ in range(times):
        torch.mm(a, a, out=out)
    _synchronize(a.device)
    return time.perf_counter() - begin


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def _tf32_as_in_convolutions() -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def _tensors(values: object) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


def _storage(tensor: Tensor) -> int:
    """Identify the storage; a tensor in oneDNN's own layout has none that PyTorch sees."""
    return tensor.untyped_storage()._cdata if tensor.layout == torch.strided else id(tensor)


def _bytes(tensor: Tensor) -> int:
    strided = tensor.layout == torch.strided
    return tensor.untyped_storage().nbytes() if strided else tensor.numel() * tensor.element_size()
