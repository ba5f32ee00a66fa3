"""The commands of docs/jetson.md are understood, its links and names exist, its counts hold."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tdnet_offline.command import make_parser
from tdnet_offline.operations import count_operations, count_traffic

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "jetson.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in re.findall(r"^ {4,}(\S.*)$", PAGE, re.MULTILINE)]
ROWS = re.findall(
    r"^\| `(\S+)` \| (\d+) x (\d+) \| ([\d.]+) \| ([\d.]+) to ([\d.]+) \|", PAGE, re.MULTILINE
)
(SNIPPET,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row[:3]))
def test_work_is_what_is_counted(row: tuple[str, ...]) -> None:
    variant, height, width, *shown = row
    size = int(height), int(width)
    traffic = count_traffic(variant, size)
    assert shown == [
        f"{count_operations(variant, size).multiply_adds / 1e9:.1f}",
        f"{traffic.product_bytes / 1e9:.2f}",
        f"{traffic.all_bytes / 1e9:.2f}",
    ]


def test_the_python_of_the_page_gives_the_times_of_its_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert len(ROWS) > 10
    exec(SNIPPET, {})
    assert re.fullmatch(r"\d+ to \d+ ms, 0\.\d+ GiB, fits: True\n", capsys.readouterr().out)
    exec(SNIPPET.replace('"td4-bise18", (385, 641)', '"td4-psp18", (513, 1025)'), {})
    assert capsys.readouterr().out == "23 to 76 ms, 0.46 GiB, fits: True\n"
    assert "| `td4-psp18` | 513 x 1025 | 109.5 | 0.30 to 1.01 | 0.46 |" in PAGE
    assert "| 23 to 76 | 23 to 76 |" in PAGE


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
