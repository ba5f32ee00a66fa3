"""The number format of a device."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tdnet._util.device import multiplies_bfloat16, processor_flags, resolve_precision
from tdnet.errors import UnknownNameError
from tdnet.settings import SegmenterSettings

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("flags\t\t: fpu avx512_bf16 amx_bf16", {"fpu", "avx512_bf16", "amx_bf16"}),
        ("Features\t: fp asimd bf16 i8mm", set()),
        ("model name\t: amx_bf16", set()),
        ("flags\t\t:", set()),
    ],
)
def test_processor_flags_are_read(tmp_path: Path, line: str, flags: set[str]) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\n{line}\nbugs\t\t: none\n")
    processor_flags.cache_clear()  # folders of tests have the names of earlier ones
    assert processor_flags(cpuinfo) == flags


def test_without_processor_information_there_are_no_flags(tmp_path: Path) -> None:
    assert processor_flags(tmp_path / "cpuinfo") == frozenset()


def test_auto_is_what_the_device_is_fast_with() -> None:
    assert resolve_precision("auto", torch.device("cuda")) == torch.float16
    expected = torch.bfloat16 if multiplies_bfloat16() else torch.float32
    assert resolve_precision("auto", CPU) == expected
    segmenter = SegmenterSettings(device="cpu", input_size=(65, 65), runtime="torch").build()
    assert segmenter.precision == str(expected).removeprefix("torch.")


def test_an_unknown_precision_is_refused_with_what_is_allowed() -> None:
    assert resolve_precision("bfloat16", CPU) == torch.bfloat16
    with pytest.raises(UnknownNameError, match="auto, float32, bfloat16, float16"):
        resolve_precision("float8", CPU)
