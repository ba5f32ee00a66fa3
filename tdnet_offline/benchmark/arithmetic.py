"""How fast a device multiplies matrices: the peak that the arithmetic floor is taken from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_SIDES = {"cpu": (256, 512, 1024, 2048), "cuda": (2048, 4096, 8192)}
_SECONDS = 0.3
_REPEATS = 3


@torch.inference_mode()
def peak_multiply_adds(device: torch.device, precision: str) -> float:
    """Measure the most multiply-accumulates a second that a matrix product reaches.

    On CUDA, float32 is measured with TF32 if PyTorch's convolutions use it.

    Args:
        device: where.
        precision: number format, such as ``"bfloat16"``.
    """
    dtype = getattr(torch, precision)
    best = 0.0
    with _as_convolutions_round():
        for side in _SIDES[device.type]:
            a = torch.randn(side, side, device=device).to(dtype)
            out = torch.empty_like(a)
            seconds = _seconds(a, out, 1)  # the first use of a shape loads and tunes kernels
            # Slow formats are told after a small product; larger ones would take minutes.
            if seconds > _SECONDS:
                best = max(best, side**3 / seconds)
                break
            times = max(1, min(100, int(_SECONDS / _REPEATS / max(seconds, 1e-6))))
            fastest = min(_seconds(a, out, times) for _ in range(_REPEATS))
            best = max(best, side**3 * times / fastest)
    return best


def _seconds(a: torch.Tensor, out: torch.Tensor, times: int) -> float:
    _wait(a.device)
    begin = time.perf_counter()
    for _ in range(times):
        torch.mm(a, a, out=out)
    _wait(a.device)
    return time.perf_counter() - begin


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def _as_convolutions_round() -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
