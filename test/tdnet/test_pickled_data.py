"""A pickle is read, never run: what it says comes out, in bounded time, whatever it asks for."""

from __future__ import annotations

import collections
import io
import os
import pickle
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdnet.pickled_data import Call, Name, Pickle, Reference, read_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
keys = st.text(max_size=5)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=20,
)


def read(data: bytes) -> Pickle:
    return read_pickle(io.BytesIO(data))


@given(value=values, protocol=st.sampled_from(PROTOCOLS))
def test_plain_values_come_out_as_they_went_in(value: object, protocol: int) -> None:
    assert read(pickle.dumps(value, protocol)).content == value


@given(value=values, protocol=st.sampled_from(PROTOCOLS))
def test_an_ordered_mapping_is_a_mapping(value: object, protocol: int) -> None:
    ordered = collections.OrderedDict(a=value, b=value)
    if protocol >= 2:
        assert read(pickle.dumps(ordered, protocol)).content == {"a": value, "b": value}


@pytest.mark.parametrize("protocol", [1, 2, 4, 5])
def test_the_stream_is_left_behind_the_pickle(protocol: int) -> None:
    stream = io.BytesIO(pickle.dumps([1], protocol) + pickle.dumps("next", protocol) + b"rest")
    assert [read_pickle(stream).content for _ in range(2)] == [[1], "next"]
    assert stream.read() == b"rest"


def test_references_are_listed() -> None:
    class Pickler(pickle.Pickler):
        def persistent_id(self, item: object) -> object:
            return ("storage", len(item)) if isinstance(item, bytes) else None

    stream = io.BytesIO()
    Pickler(stream, 2).dump({"a": b"123", "b": b"4567"})
    content, references = read(stream.getvalue())
    assert [reference.key for reference in references] == [("storage", 3), ("storage", 4)]
    assert content == {"a": references[0], "b": references[1]}
    assert isinstance(content["a"], Reference)


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_call_is_noted_and_not_made(protocol: int, tmp_path: Path) -> None:
    call = read(pickle.dumps(Malicious(tmp_path / "trap"), protocol)).content
    assert isinstance(call, Call)
    assert isinstance(call.function, Name)
    assert call.function.name in ("posix.mkdir", "nt.mkdir")
    assert call.arguments == (str(tmp_path / "trap"),)
    assert not (tmp_path / "trap").exists()


def test_what_would_take_all_memory_is_not_made() -> None:
    class Large:
        def __reduce__(self) -> tuple[object, tuple[int]]:
            return bytearray, (1 << 62,)

    content = read(pickle.dumps({"a": Large(), "b": 1}, 2)).content
    assert content["b"] == 1
    assert content["a"].arguments == (1 << 62,)


def test_data_of_exponential_size_do_not_unfold() -> None:
    # A tuple of twice the tuple before, a hundred times: as a key, a name, an argument, a value.
    grown = b")q\x00" + b"".join(
        b"h%ch%c\x86q%c" % (level, level, level + 1) for level in range(100)
    )
    for use in (
        b"}h\x64NsX\x01\x00\x00\x00aK\x01s.",
        b"h\x64h\x64\x93.",
        b"cos\nsystem\nh\x64R.",
        b"h\x64Q.",
        b"h\x64h\x64b.",
    ):
        read(b"\x80\x04" + grown + use)


def test_a_deeply_nested_pickle_is_read() -> None:
    depth = 100_000
    data = b"\x80\x02" + b"cos\nsystem\n" * depth + b")" + b"R" * depth + b"."
    assert isinstance(read(data).content, Call)
    assert isinstance(read(b"\x80\x02)" + b"\x85" * depth + b".").content, tuple)


BROKEN = {
    "empty": b"",
    "no end": b"\x80\x02}",
    "nothing": b"\x80\x02.",
    "takes what is not there": b"\x80\x02K\x01\x87.",
    "marks that are not there": b"\x80\x02t.",
    "memory that is not there": b"\x80\x02h\x05.",
    "a long text without it": b"\x80\x02X" + struct.pack("<I", 1 << 31) + b"a.",
    "a buffer from outside": b"\x80\x05\x97.",
    "an extension": b"\x80\x02\x82\x01.",
    "no pickle": b"PK\x03\x04",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_broken_is_refused(data: bytes) -> None:
    with pytest.raises((ValueError, IndexError, KeyError)):
        read(data)


@given(value=values, start=st.integers(0, 400), change=st.binary(max_size=6))
def test_any_damage_ends(value: object, start: int, change: bytes) -> None:
    data = pickle.dumps({"a": value}, 2)
    start %= len(data)
    try:
        read(data[:start] + change + data[start + len(change) :])
    except Exception as error:
        assert not isinstance(error, RecursionError)
