from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tdnet.backends.cuda import kernels

ROOT = Path(__file__).parents[5]
NEEDS_TRITON = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="needs Triton: pip install triton, then `make test`",
)


def test_a_cpu_is_no_device_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    cpu = torch.device("cpu")
    assert kernels.unavailable_reason(cpu) == "Triton's kernels are for CUDA, not for device cpu"


@NEEDS_TRITON
def test_the_interpreter_runs_them_on_a_cpu_and_needs_triton() -> None:
    """Runs in a separate process, since the interpreter is selected at the start."""
    program = """
import sys, torch
from tdnet.backends.cuda.kernels import unavailable_reason
cpu, cuda = torch.device("cpu"), torch.device("cuda")
sys.modules["triton"] = None
print(unavailable_reason(cpu))
del sys.modules["triton"]
print(unavailable_reason(cpu))
print(unavailable_reason(cuda))
"""
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    without_triton, on_cpu, on_cuda = answer.stdout.splitlines()
    assert without_triton.startswith("Triton cannot be imported: ")
    assert on_cpu == "None"
    assert on_cuda.startswith("TRITON_INTERPRET=1 is set: ")


@pytest.mark.cuda
def test_a_gpu_with_triton_runs_them() -> None:
    assert kernels.unavailable_reason(torch.device("cuda")) is None
