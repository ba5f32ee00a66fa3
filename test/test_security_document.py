"""SECURITY.md tells the truth: its limits are those of the code, its tests exist."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
LIMITS = re.findall(r"^\| .* \| ([\d.]+)( [KMG]iB?)? \| `([\w.]+)` \|$", TEXT, re.MULTILINE)
TESTS = re.findall(r"`(test_\w+\.py)::(\w+)`", TEXT)
UNITS = {"": 1, "KiB": 1 << 10, "Mi": 1 << 20, "MiB": 1 << 20, "GiB": 1 << 30}


def functions(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("number", "unit", "constant"), LIMITS, ids=[c for _, _, c in LIMITS])
def test_a_limit_is_that_of_the_code(number: str, unit: str, constant: str) -> None:
    module, _, name = constant.rpartition(".")
    pytest.importorskip(module, reason=f"{module} needs more than is installed: use `make test`")
    value = getattr(importlib.import_module(module), name)
    assert value == int(number) * UNITS[unit.strip()]


@pytest.mark.parametrize(("file", "name"), sorted(set(TESTS)))
def test_a_test_exists(file: str, name: str) -> None:
    (path,) = (ROOT / "test").rglob(file)
    assert name in functions(path)


def test_every_row_names_a_test() -> None:
    tried = TEXT.partition("## What was tried")[2].partition("### What remains")[0]
    rows = [line for line in tried.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith("| what |")]
    assert len(rows) > 30
    for row in rows:
        assert row.count(" | ") == 3, row
        assert "::" in row.rpartition(" | ")[2], row
    assert len(LIMITS) == TEXT.count("| `tdnet")
