"""Where the kernels' tests run: on a GPU, or in Triton's interpreter."""

from __future__ import annotations

import os

import pytest
import torch

# The interpreter has to be chosen before Triton is imported and holds for the whole process:
# test_interpreter.py starts one.
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


@pytest.fixture(params=["cpu" if INTERPRETED else pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.param)
