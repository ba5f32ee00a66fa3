"""Device of the kernel tests: a GPU, or Triton's interpreter."""

from __future__ import annotations

import os

import pytest
import torch

# The interpreter is selected before Triton is imported, for the whole process:
# test_interpreter.py starts such a process.
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


@pytest.fixture(params=["cpu" if INTERPRETED else pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.param)
