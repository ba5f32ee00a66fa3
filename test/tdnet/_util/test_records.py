"""Dataclasses read from documents: every kind of hint, and the errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdnet._util.documents import Document, RecordError, parse_json, parse_yaml
from tdnet._util.records import Length, Matching, Range, Stored, plain, read_record
from tdnet.errors import InputError

Byte = Annotated[int, Range(0, 255)]


@dataclass(frozen=True)
class Lens:
    """With a check of its own."""

    focal: float = 1.0
    kind: Literal["wide", "narrow"] = "wide"

    def __post_init__(self) -> None:
        if self.focal == 13:
            raise InputError("focal 13 is unlucky")


@dataclass(frozen=True)
class Camera:
    """A field for each kind of hint."""

    name: Annotated[str, Matching("[a-z]+", "a lower-case word")]
    size: tuple[int, int]
    colors: Mapping[int, tuple[Byte, Byte, Byte]] = field(default_factory=dict)
    gains: Annotated[tuple[float, ...], Length(1, 3), Range(0, 10)] = (1,)
    source: str | int | None = None
    since: bool | None = field(default=None, metadata={"key": "from"})
    lens: Lens = field(default_factory=Lens)
    spare: tuple[Lens, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    data: Annotated[bytes, Stored(str, bytes.fromhex, bytes.hex)] = b""
    extra: Any = None


TEXT = """\
name: front
size: [48, 64]
colors: [[3, [1, 2, 3]]]
gains: [1, 2.5]
source: 7
from: yes
lens: {focal: 1e-4}
spare:
  - kind: narrow
notes: {a: b}
data: 00ff
extra: [1, {x: y}]
"""


def test_every_kind_of_value_is_read() -> None:
    camera = read_record(Camera, parse_yaml(TEXT, "c.yaml"))
    assert camera == Camera(
        name="front",
        size=(48, 64),
        colors={3: (1, 2, 3)},
        gains=(1.0, 2.5),
        source=7,
        since=True,
        lens=Lens(1e-4),
        spare=(Lens(kind="narrow"),),
        notes={"a": "b"},
        data=b"\x00\xff",
        extra=[1, {"x": "y"}],
    )
    written = json.dumps(plain(camera))
    assert json.loads(written)["from"] is True
    assert read_record(Camera, parse_json(written, "c.json")) == camera


def test_defaults_stand_for_what_is_left_out() -> None:
    document = parse_yaml("name: a\nsize: [1, 2]", "c.yaml")
    assert read_record(Camera, document) == Camera("a", (1, 2))


def line(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new)


MISTAKES = [
    ("- 1", "1: got a list of 1; allowed a mapping with name, size, colors"),
    (line("name: front\n", ""), "1: the key name is missing; add it"),
    (line("front", "Front"), "1: name: got 'Front'; allowed a lower-case word"),
    (line("front", "12"), "1: name: got 12; allowed a lower-case word; put it in quotes"),
    (line("size:", "siez:"), "2: unknown key 'siez'; allowed name, size, colors"),
    (line("size:", "focal:"), "2: unknown key 'focal'; .*did you mean lens.focal?"),
    (line("[48, 64]", "[48]"), "2: size: got a list of 1; allowed a list of 2, each a whole"),
    (line("[48, 64]", "[48, 6.0]"), r"2: size\[1\]: got 6.0; allowed a whole number"),
    (line("[48, 64]", "[48, true]"), r"2: size\[1\]: got true; allowed a whole number"),
    (line("[1, 2, 3]", "[1, 256, 3]"), r"3: colors\[0\]\[1\]\[1\]: got 256; allowed .* 0 to 255"),
    (line("[1, 2.5]", "[]"), "4: gains: got a list of 0; allowed a list of 1 to 3, each a number"),
    (line("[1, 2.5]", "[1, 99]"), r"4: gains\[1\]: got 99; allowed a number from 0 to 10"),
    (line("[1, 2.5]", "[.nan]"), r"4: gains\[0\]: got .nan; allowed a number"),
    (line("source: 7", "source: [7]"), "5: source: got a list of 1; allowed text, or a whole num"),
    (line("from: yes", "from: maybe"), "6: from: got 'maybe'; allowed true or false"),
    (line("1e-4", "13"), "7: lens: focal 13 is unlucky"),
    (line("narrow", "narow"), r"9: spare\[0\].kind: got 'narow'; .*did you mean narrow?"),
    (line("{a: b}", "{a: 1}"), "10: notes.a: got 1; allowed text; put it in quotes"),
    (line("{a: b}", "{1: b}"), "10: notes: got a mapping"),
    (line("00ff", "0x"), "11: data: "),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=[m for _, m in MISTAKES])
def test_a_mistake_names_line_and_field(text: str, message: str) -> None:
    with pytest.raises(RecordError, match=f"^c.yaml:{message}") as caught:
        read_record(Camera, parse_yaml(text, "c.yaml"))
    assert caught.value.source == "c.yaml"


def test_a_mistake_in_json_names_the_field() -> None:
    with pytest.raises(RecordError, match=r"^c.json: size\[0\]: got null; allowed a whole") as e:
        read_record(Camera, parse_json('{"name": "a", "size": [null, 2]}', "c.json"))
    assert (e.value.line, e.value.field) == (None, "size[0]")


def test_numbers_beyond_measure_are_refused() -> None:
    document = Document({"name": "a", "size": [1, 1], "gains": [1 << 2000]}, "c")
    with pytest.raises(RecordError, match=r"gains\[0\]: got 1148.*allowed a number"):
        read_record(Camera, document)


@given(
    st.builds(
        Camera,
        name=st.from_regex("[a-z]+", fullmatch=True),
        size=st.tuples(st.integers(), st.integers()),
        colors=st.dictionaries(st.integers(), st.tuples(*[st.integers(0, 255)] * 3)),
        gains=st.lists(st.floats(0, 10), min_size=1, max_size=3).map(tuple),
        source=st.none() | st.text() | st.integers(),
        lens=st.builds(Lens, focal=st.floats(14, 1e300)),
        notes=st.dictionaries(st.text(), st.text()),
        data=st.binary(),
        extra=st.none(),
    )
)
def test_what_is_read_equals_what_was_written(camera: Camera) -> None:
    assert read_record(Camera, parse_json(json.dumps(plain(camera)), "c.json")) == camera
