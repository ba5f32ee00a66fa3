"""What the README and the pages beside it say is so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


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


def test_parameters_and_defaults_are_those_of_the_node() -> None:
    pytest.importorskip("rclpy", reason="the node's parameters need ROS 2: run `make test`")
    from tdnet_ros.settings import NodeSettings

    page = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.*?) \|", page, re.MULTILINE))
    values = NodeSettings().to_values()
    assert set(rows) == set(values)
    for name, shown in rows.items():
        value = values[name]
        said = "empty" if value in ("", []) else str(value).lower()
        assert shown.strip("`") == said, name


PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
_LINK = re.compile(r"\]\((?!http|#)([^)#]+)(?:#[^)]*)?\)")
_FILE = re.compile(r"`((?:tdnet\w*|config|test|tools|launch)/[\w/.-]+\.\w+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = set(_LINK.findall(page.read_text(encoding="utf-8")))
    assert {link for link in links if not (page.parent / link).exists()} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page: Path) -> None:
    files = set(_FILE.findall(page.read_text(encoding="utf-8")))
    assert {file for file in files if not (ROOT / file).is_file()} == set()


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= 1500
