"""The tables of docs/jetson.md are what is estimated, and what it shows can be typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tdnet_offline.benchmark.board_estimates import (
    BANDWIDTH_SHARES,
    NETWORK_SHARE,
    PEAK_SHARES,
    RESERVED_GIBIBYTES,
    USABLE_SHARE,
    count_work,
    estimate_ms,
)
from tdnet_offline.benchmark.board_tables import (
    RATES,
    SHORTEST_MS,
    TABLE_ROWS,
    board_table,
    size_row,
    time_row,
)
from tdnet_offline.benchmark.boards import BOARDS
from tdnet_offline.command import make_parser

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "jetson.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in re.findall(r"^ {4,}(\S.*)$", PAGE, re.MULTILINE)]
SHOWN = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines()]
NETWORKS = list(dict.fromkeys(variant for variant, _ in TABLE_ROWS))


def test_the_modules_are_those_that_are_counted_with() -> None:
    assert board_table() in PAGE


@pytest.mark.parametrize(
    ("variant", "size"), TABLE_ROWS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_times_are_those_that_are_estimated(variant: str, size: tuple[int, int]) -> None:
    assert time_row(variant, size) in SHOWN


@pytest.mark.parametrize("variant", NETWORKS)
def test_sizes_are_those_that_keep_up(variant: str) -> None:
    for rate in RATES:
        assert size_row(variant, rate) in SHOWN


def test_the_tables_have_nothing_else() -> None:
    names = [board.name for board in BOARDS]
    assert ["network", "input", "GMAC", "GB moved", "GiB", *names] in SHOWN
    assert ["frames/s", "network", *names] in SHOWN
    rows = [row for row in SHOWN if len(row) > len(names) and "---" not in row]
    assert len(rows) == len(TABLE_ROWS) + len(RATES) * len(NETWORKS) + 2


def test_assumptions_are_said() -> None:
    text = " ".join(PAGE.split())
    (slow, fast), (narrow, wide) = PEAK_SHARES, BANDWIDTH_SHARES
    assert (fast, NETWORK_SHARE) == (0.5, 0.75)
    assert f"half of the peak, {wide:.0%}".replace("%", " %") in text
    assert f"*longest* {slow:.0%}, {narrow:.0%}".replace("%", " %") in text
    assert "three quarters of the time between two frames" in text
    assert f"takes {RESERVED_GIBIBYTES:.0f} GiB for system" in text
    assert f"and {USABLE_SHARE:.0%} of".replace("%", " %") in text
    assert f"times below {SHORTEST_MS:.0f} ms say nothing" in text
    assert "Nothing here was run on a Jetson" in text


def test_what_it_says_of_power_modes() -> None:
    modes = {board.name: board.modes for board in BOARDS}
    ratios = {name: found[0].teraflops / found[-1].teraflops for name, found in modes.items()}
    assert f"Orin NX differs by {ratios['Orin NX 16 GB']:.1f}" in PAGE
    assert f"AGX Orin 64 GB by {ratios['AGX Orin 64 GB']:.1f}" in PAGE
    fast, slow = modes["Orin NX 16 GB"][0], modes["Orin NX 16 GB"][2]
    assert (fast.name.split()[-1], slow.name) == ("40W", "15W")
    work = count_work("td4-psp18", (769, 1537))
    assert estimate_ms(work, slow)[1] / estimate_ms(work, fast)[1] == pytest.approx(3.8, abs=0.05)


def test_commands_are_understood() -> None:
    lines = [shlex.split(line) for line in COMMANDS if line.startswith("tdnet ")]
    assert len(lines) == 3
    for line in lines:
        make_parser().parse_args(line[1:])


def test_launch_arguments_exist() -> None:
    launch = (ROOT / "launch" / "segment.launch.py").read_text(encoding="utf-8")
    known = set(re.findall(r'_argument\(\s*"(\w+)"', launch))
    used = {name for name in re.findall(r"(\w+):=", PAGE) if name != "image_encoding"}
    assert used <= known
    assert {"runtime", "weights"} <= used


def test_the_python_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(snippet, {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == sum(len(board.modes) for board in BOARDS)
    assert re.fullmatch(r"Orin Nano 4 GB, .*: \d+\.\d to \d+\.\d ms, fits: True", lines[0])


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!http|#)([^)]+)\)", PAGE))))
def test_links_lead_somewhere(path: str) -> None:
    name, _, anchor = path.partition("#")
    target = ROOT / "docs" / name
    assert target.exists()
    headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
    assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("anchor", sorted(set(re.findall(r"\]\(#([^)]+)\)", PAGE))))
def test_links_within_the_page_have_a_heading(anchor: str) -> None:
    headings = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}
