"""Without a GPU, the kernels run in Triton's interpreter, in a separate process."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[4]


@pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="needs Triton: pip install triton, then `make test`",
)
def test_the_kernels_pass_in_the_interpreter() -> None:
    pytest_of_it = [sys.executable, "-m", "pytest", "-q", "-m", "not cuda"]
    names = ("test_frame.py", "test_frame_io.py", "test_outputs.py")
    files = [str(FOLDER / name) for name in names]
    answer = subprocess.run(
        [*pytest_of_it, "-p", "no:cacheprovider", *files],
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stdout[-4000:] + answer.stderr[-1000:]
    passed = re.search(r"(\d+) passed", answer.stdout)
    assert passed is not None, answer.stdout
    assert int(passed[1]) > 30
