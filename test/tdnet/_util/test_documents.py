"""Documents: files that cannot be used, and one document over another."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tdnet._util.documents import RecordError, load_document, parse_yaml
from tdnet._util.records import read_record


@dataclass(frozen=True)
class Section:
    """Of a recipe."""

    rate: float = 0.0
    steps: int = 1


@dataclass(frozen=True)
class Recipe:
    """With a section."""

    seed: int = 0
    section: Section = field(default_factory=Section)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("f.yaml", b"", "f.yaml: is empty"),
        ("f.yaml", b"# nothing\n", "f.yaml:1: the file is empty"),
        ("f.yaml", b"a: 1\nb: \xff\n", "f.yaml: is not UTF-8 text: save it as UTF-8"),
        ("f.yaml", b"a: 1\na: 2\n", "f.yaml:2: not valid YAML: the key a stands here twice"),
        ("f.yaml", b"a: [1\n", "f.yaml:2: not valid YAML"),
        ("f.yaml", b"a: \x01\n", "f.yaml: not valid YAML: unacceptable character"),
        ("f.yaml", b"a: 2020-99-99\n", "f.yaml: not valid YAML: month must be"),
        ("f.yaml", b"a: !!python/name:os.system\n", "f.yaml:1: not valid YAML: could not det"),
        ("f.yaml", b"a: !!timestamp foo\n", "f.yaml: not valid YAML: "),
        ("f.yaml", b"!!map [a]\n", "f.yaml: not valid YAML: "),
        ("f.yaml", b"[" * 9000, "f.yaml: not valid YAML"),
        ("f.json", b'{"a": 1,\n x}', "f.json:2: not valid JSON"),
        ("f.json", b"[" * 99_000, "f.json: not valid JSON"),
        ("f.json", b"1" * 9000, "f.json: not valid JSON"),
        ("f.json", b"1" * 200_000, "f.json: has 200000 bytes; allowed are 100000"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordError, match=message):
        load_document(tmp_path / name, 100_000)


@pytest.mark.parametrize(
    "number",
    ["010", "0x10", "0b1", "1_0", "1:30", "1" * 19, "0x" + "f" * 4000, "!!int ''"],
    ids=lambda number: number[:9],
)
@pytest.mark.parametrize("place", ["a:\n  {}", "a:\n  ? {}\n  : 1"], ids=["value", "key"])
def test_whole_numbers_are_decimal(place: str, number: str) -> None:
    with pytest.raises(RecordError, match=r"f.yaml:2: not valid YAML: write whole numbers in dec"):
        parse_yaml(place.format(number), "f.yaml")


def test_decimal_numbers_are_read() -> None:
    document = parse_yaml(f"[0, -0, +7, -12, {'9' * 18}]", "f.yaml")
    assert document.value == [0, 0, 7, -12, 10**18 - 1]


@pytest.mark.parametrize("key", ["<<", "!!merge x", "!!merge [x]"])
def test_merge_keys_are_refused(key: str) -> None:
    with pytest.raises(RecordError, match=r"f.yaml:3: not valid YAML: merge keys are not allowed"):
        parse_yaml(f"a: &a {{x: 1}}\nb:\n  {key}: *a", "f.yaml")
    assert parse_yaml("'<<': 1", "f.yaml").value == {"<<": 1}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="none.yaml: does not exist"):
        load_document(tmp_path / "none.yaml", 100)


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbfseed: 3")
    assert read_record(Recipe, load_document(tmp_path / "f.yaml", 100)).seed == 3


def test_an_upper_document_changes_keys_of_a_lower_one() -> None:
    lower = parse_yaml("seed: 1\nsection: {rate: 1e-3, steps: 2}", "lower.yaml")
    upper = parse_yaml("section:\n  steps: 3", "upper.yaml")
    assert read_record(Recipe, upper.over(lower)) == Recipe(1, Section(1e-3, 3))
    empty = parse_yaml("section:", "upper.yaml")
    assert read_record(Recipe, empty.over(lower)) == Recipe(1, Section(1e-3, 2))


def test_errors_name_the_document_that_has_the_key() -> None:
    lower = parse_yaml("seed: 1\nsection:\n  rate: fast", "lower.yaml")
    upper = parse_yaml("\nseed: 2", "upper.yaml")
    with pytest.raises(RecordError, match="lower.yaml:3: section.rate: got 'fast'; allowed a num"):
        read_record(Recipe, upper.over(lower))
    upper = parse_yaml("section: {rate: 1}\nsed: 2", "upper.yaml")
    with pytest.raises(RecordError, match=r"upper.yaml:2: unknown key 'sed'.*did you mean seed?"):
        read_record(Recipe, upper.over(lower))
