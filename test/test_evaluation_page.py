"""The commands of docs/evaluation.md run, on fewer frames."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tdnet_offline.command import main

PAGE = (Path(__file__).parents[1] / "docs" / "evaluation.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in re.findall(r"^    (?:tdnet|torchrun) .*$", PAGE, re.M)]
TORCHRUN = "torchrun --standalone --nproc-per-node 2 -m tdnet_offline.command "


def smaller(command: str) -> list[str]:
    """Return the words of a command after `tdnet`, for a few small frames."""
    command = command.replace("--frames 170", "--frames 4 --size 96 160")
    command = command.replace("900-903@180x320,frames=30", "900-901@96x160,frames=2")
    return shlex.split(command.removeprefix("tdnet ").removeprefix(TORCHRUN))


def test_they_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = [command for command in COMMANDS if "/data/" not in command]
    assert len(ran) == 9
    for command in ran:
        assert main(smaller(command)) == 0, command
    assert {path.parent.name for path in tmp_path.glob("*/report.html")} == {
        *("every-frame", "paced", "both", "street", "none", "foreign", "memory")
    }
    (python,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(python, "docs/evaluation.md", "exec"), {})
