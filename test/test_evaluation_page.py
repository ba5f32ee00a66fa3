"""The commands of docs/evaluation.md run as they stand there, on fewer frames."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tdnet_offline.command import main
from tdnet_offline.damage import LOST_GREY, MAX_NOISE, MAX_STRIPE
from tdnet_offline.evaluation.boundary import TOLERANCE, tolerance
from tdnet_offline.evaluation.json_file import MAX_BYTES
from tdnet_offline.evaluation.motion import FLOW_SIDE
from tdnet_offline.evaluation.pacing import MAX_WAIT
from tdnet_offline.evaluation.worst_frames import SPACING
from tdnet_offline.refusals import MAX_REPORTED

PAGE = (Path(__file__).parents[1] / "docs" / "evaluation.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in re.findall(r"^    (?:tdnet|torchrun) .*$", PAGE, re.M)]
TORCHRUN = "torchrun --standalone --nproc-per-node 2 -m tdnet_offline.command "


def smaller(command: str) -> list[str]:
    """The words of a command after `tdnet`, for a few small frames."""
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


def test_that_of_a_data_set_only_lacks_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    (command,) = (command for command in COMMANDS if "/data/" in command)
    words = [word for word in smaller(command) if word not in ("--weights", "td4-psp18.pkl")]
    words[words.index("--variant") + 1] = "td4-psp18-nano"
    assert main(words) == 2
    assert "/data/cityscapes: no such folder" in capsys.readouterr().err


def test_numbers_of_the_page_are_those_of_the_code() -> None:
    assert f"within {100 * TOLERANCE:g} % of the diagonal" in PAGE
    assert f"({tolerance((360, 640))} pixels at 640 x 360, {tolerance((1024, 2048))} at" in PAGE
    assert f"at most {FLOW_SIDE} pixels a side" in PAGE
    assert f"Gaps above {MAX_WAIT:g} s are cut" in " ".join(PAGE.split())
    assert f"neighbouring rows become grey ({LOST_GREY})" in PAGE
    assert f"all that fit. 0 to {MAX_STRIPE:g}." in PAGE
    assert f"cut off at 0 and 255. 0 to {MAX_NOISE:g}." in PAGE
    assert SPACING == 10
    assert "of every ten frames of a video (0 to 9, 10 to 19 ...) at most one" in PAGE
    assert MAX_REPORTED == 20
    words = " ".join(PAGE.split())
    assert "the first twenty are named" in words
    assert f"up to {MAX_BYTES >> 20} MiB are read" in words
