"""The outcomes of the steps of `tools/gpu_check.sh`; the steps themselves need a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tools.gpu_check import Step, outcome_of, run, steps

ROOT = Path(__file__).parents[1]

ABSENT = "ModuleNotFoundError: No module named 'surely_absent'"


@pytest.mark.parametrize(
    ("code", "log", "status", "reason"),
    [
        (0, "3 passed", "passed", ""),
        (5, "no tests ran", "skipped", "no test is left"),
        (None, "", "failed", "out of time"),
        (1, "FAILED test/x.py::test_y - assert 1 == 2", "failed", "status 1"),
        (4, f"ImportError while loading conftest\nE   {ABSENT}", "skipped", "surely_absent"),
        (2, f"E   {ABSENT}\nERROR test/x.py - {ABSENT}", "skipped", "surely_absent"),
        (
            1,
            f"ERROR test/x.py - {ABSENT}\nE   {ABSENT}\nFAILED test/z.py::t",
            "failed",
            "status 1",
        ),
        (2, f"E   {ABSENT}\nERROR test/x.py - SyntaxError: invalid", "failed", "status 2"),
        (2, "E   ModuleNotFoundError: No module named 'tdnet.gone'", "failed", "status 2"),
        (1, "Traceback ...", "failed", "status 1"),
        (
            2,
            "tdnet: runtime x needs the Python package surely_absent 10 or later: pip install x",
            "skipped",
            "surely_absent",
        ),
    ],
)
def test_only_a_package_that_is_not_installed_excuses(
    code: int | None, log: str, status: str, reason: str
) -> None:
    found, because = outcome_of(code, log)
    assert found == status
    assert reason in because


def test_a_step_has_a_limit_and_a_log(tmp_path: Path) -> None:
    spoken = run(Step("speaks", ["-c", "print('some words')"], seconds=60), tmp_path, 60)
    late = run(Step("sleeps", ["-c", "import time; time.sleep(60)"], seconds=60), tmp_path, 0.2)
    assert (spoken.status, late.status, late.reason) == ("passed", "failed", "out of time")
    assert "== speaks\nsome words\n" in (tmp_path / "log.txt").read_text()


def test_every_test_for_a_gpu_has_a_step(tmp_path: Path) -> None:
    commands = {argument for step in steps(tmp_path) for argument in step.command}
    for path in (ROOT / "test").rglob("test_*.py"):
        text = path.read_text()
        inherited = "(VariantSuite)" in text
        if path != Path(__file__) and (inherited or "@pytest.mark.cuda" in text):
            assert str(path.relative_to(ROOT)) in commands


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_a_line_says_so(tmp_path: Path) -> None:
    answer = subprocess.run(
        [ROOT / "tools" / "gpu_check.sh", tmp_path / "results"],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 2
    assert answer.stdout.startswith("gpu_check: PyTorch ")
    assert len(answer.stdout.splitlines()) == 1
    assert not (tmp_path / "results").exists()
