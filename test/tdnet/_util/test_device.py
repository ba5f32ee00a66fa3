"""The number format of a device."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tdnet._util.device import multiplies_bfloat16, resolve_precision
from tdnet.errors import UnknownNameError
from tdnet.settings import SegmenterSettings

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("line", "multiplies"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 amx_bf16 avx512_fp16 amx_tile amx_int8", True),
        # Vector instructions only: a frame took 1.35 times as long as in float32.
        ("flags\t\t: fpu avx512f avx512_bf16", False),
        ("flags\t\t: fpu avx2 amx_bf16x", False),
        ("Features\t: fp asimd asimdhp bf16 i8mm", False),
        ("model name\t: amx_bf16", False),
    ],
)
def test_a_processor_with_matrix_instructions_is_known(
    tmp_path: Path, line: str, multiplies: bool
) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text(f"processor\t: 0\n{line}\nbugs\t\t: none\n")
    multiplies_bfloat16.cache_clear()  # folders of tests have the names of earlier ones
    assert multiplies_bfloat16(told) == multiplies


def test_nothing_told_is_no_such_processor(tmp_path: Path) -> None:
    assert not multiplies_bfloat16(tmp_path / "cpuinfo")


def test_auto_is_what_the_device_is_fast_with() -> None:
    assert resolve_precision("auto", torch.device("cuda")) == torch.float16
    expected = torch.bfloat16 if multiplies_bfloat16() else torch.float32
    assert resolve_precision("auto", CPU) == expected
    segmenter = SegmenterSettings(
        variant="td4-psp18-nano", device="cpu", input_size=(33, 65)
    ).build()
    assert segmenter.precision == str(expected).removeprefix("torch.")


def test_an_unknown_precision_is_refused_with_what_is_allowed() -> None:
    assert resolve_precision("bfloat16", CPU) == torch.bfloat16
    with pytest.raises(UnknownNameError, match="auto, float32, bfloat16, float16"):
        resolve_precision("float8", CPU)
