"""What docs/benchmark.md says is so: its commands are understood, its numbers are the code's."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path

import pytest

from tdnet_offline.benchmark import measuring, result, timed_frames
from tdnet_offline.benchmark.accuracy import STREET
from tdnet_offline.command import main

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in re.findall(r"^    tdnet .*$", PAGE, re.M)]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All but the frames, which there are none of: every other mistake would be told first."""
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command, comments=True)[1:]
    words = [word for word in words if word not in ("cuda", "--topic", "/camera/image_raw")]
    if "--images" in words:
        del words[words.index("--images") + 1]
        words.remove("--images")
    assert main([*words, "--images", "nowhere"]) == 2
    assert capsys.readouterr().err == "tdnet: nowhere: no such file or folder\n"


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 5


def test_names_of_the_json_exist() -> None:
    cells = [row.split("|")[2] for row in PAGE.splitlines() if row.startswith("| ")]
    names = [name for cell in cells for name in re.findall(r"`([\w.*]+)`", cell)]
    assert len(names) > 12
    parts = {"versus": result.Comparison, "memory": result.Memory, "counts": result.Counts}
    for name in names:
        first, _, rest = name.partition(".")
        assert first in fields(result.Run)
        if rest:
            assert any(re.fullmatch(rest.replace("*", ".*"), one) for one in fields(parts[first]))


def fields(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def test_numbers_of_the_page_are_those_of_the_code() -> None:
    words = " ".join(PAGE.split())
    alone, turns = measuring.SECONDS_ALONE, measuring.SECONDS_IN_TURNS
    assert f"step 2 takes {alone:g} seconds and step 4 takes {turns:g}" in words
    assert f"{timed_frames.LEAST_FRAMES} frames at least" in words
    assert f"{timed_frames.MOST_FRAMES} at most" in words
    assert f"`{STREET}`" in PAGE


@pytest.mark.parametrize("path", re.findall(r"`(tdnet_offline/\S+\.py)`", PAGE))
def test_files_exist(path: str) -> None:
    assert (ROOT / path).is_file()
