"""An error is one line without control characters, also for hostile texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdnet.errors import (
    MAX_LINE,
    ClassMapError,
    InputError,
    TdnetError,
    UnknownNameError,
    WeightsError,
    one_line,
    quoted,
)


@given(text=st.text())
@pytest.mark.parametrize("kind", [TdnetError, InputError, WeightsError, ClassMapError])
def test_a_message_is_one_line(kind: type[TdnetError], text: str) -> None:
    message = str(kind(f"{text}: is wrong\n{text}"))
    assert message.isprintable()
    assert "is wrong" in message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\n  lines\r\n", "two lines"),
        ("\x1b[2Jgone\x07", r"\x1b[2Jgone\x07"),
        ("\u202etxt.exe\u2028", r"\u202etxt.exe"),
        ("file\udcff.pth", r"file\udcff.pth"),
        ("straße 東京 50 %", "straße 東京 50 %"),
        ("", ""),
    ],
)
def test_only_what_acts_is_escaped(text: str, shown: str) -> None:
    assert one_line(text) == shown


@given(text=st.text(max_size=300), length=st.integers(10, 100))
def test_a_line_has_at_most_so_many_characters(text: str, length: int) -> None:
    assert len(one_line(text, length)) <= length


def test_a_long_text_is_cut_and_says_so() -> None:
    assert one_line("x" * 10**7).endswith("x ...")
    assert len(one_line("\x1b" * 10**7)) == MAX_LINE


def test_a_name_is_shown_by_its_start() -> None:
    assert quoted("a\nb") == r"'a\nb'"
    assert quoted("x" * 10**7) == f"'{'x' * 64}'..."


def test_a_long_unknown_name_takes_no_time() -> None:
    message = str(UnknownNameError("variant", "x" * 10**7, ["psp18", "psp50"]))
    assert len(message) < 200
    assert "valid: psp18, psp50" in message
    assert "Did you mean 'psp18'" in str(UnknownNameError("variant", "psp8", ["psp18"]))
