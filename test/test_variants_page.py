"""The table and the code of docs/variants.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.variant_suite import VariantSuite

from tdnet import get_variant, list_variants
from tdnet_offline.operations import count_operations

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "variants.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([\w-]+)` \| (.*) \|$", re.MULTILINE)


def rows(text: str) -> dict[str, list[str]]:
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in ROW.findall(text)}


def code(index: int) -> str:
    return re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[index]


_names: dict[str, type[VariantSuite]] = {}
exec(compile(code(0) + code(1), "docs/variants.md", "exec"), _names)


class TestTheVariantOfThePage(_names["TestMine"]):  # type: ignore[misc]
    """The test class that the page shows."""


def test_the_table_has_every_variant() -> None:
    assert list(rows(PAGE)) == list_variants()


@pytest.mark.parametrize("name", list_variants())
def test_costs_are_those_that_are_counted(name: str) -> None:
    cost = count_operations(name)
    size = "{} x {}".format(*get_variant(name).input_size)
    parameters, gmac = cost.num_parameters / 1e6, cost.multiply_adds / 1e9
    memory = cost.memory_bytes / 2**20
    assert rows(PAGE)[name][:4] == [
        size,
        f"{parameters:.2f} M",
        f"{gmac:.1f}",
        f"{memory:.2f} MiB",
    ]
