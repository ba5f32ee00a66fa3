"""What the README says is so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tdnet import list_variants

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def first_column(heading: str) -> list[str]:
    """The code words in the first column of the table under a heading."""
    section = re.split(r"^## ", README.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row.split("|")[1])]


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda text: text.splitlines()[0])
def test_python_runs(snippet: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", snippet],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_there_is_python_to_run() -> None:
    assert SNIPPETS


def test_variants_are_all_listed() -> None:
    assert first_column("Variants") == list_variants()


def test_parameters_and_defaults_are_those_of_the_node() -> None:
    pytest.importorskip("rclpy", reason="the node's parameters need ROS 2: run `make test`")
    from tdnet_ros.settings import NodeSettings

    section = README.split("\n## Parameters\n")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.*?) \|", section, re.MULTILINE))
    values = NodeSettings().to_values()
    assert set(rows) == set(values)
    for name, shown in rows.items():
        value = values[name]
        said = "empty" if value in ("", []) else str(value).lower()
        assert shown.strip("`") == said, name


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!http|#)([^)]+)\)", README))))
def test_links_lead_somewhere(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:tdnet\w*|config|test|tools)/[\w/.-]+\.\w+)`", README)))
)
def test_named_files_exist(path: str) -> None:
    assert (ROOT / path).is_file()
