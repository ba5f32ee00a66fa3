"""The kernels compile for other GPUs; the interpreter accepts more than the compiler."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# Turing, the Jetson Orin, Hopper.
TARGETS = [(75, "fp16"), (87, "bf16"), (90, "fp32")]
BYTES, NUMBERS = "*u8", "*fp32"


def machine_code(
    program: object,
    signature: dict[str, str],
    constants: dict[str, object],
    architecture: int,
) -> str:
    """Return the PTX of a kernel, after ptxas has accepted it."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = program.arg_names  # type: ignore[attr-defined]
    types = {name: signature.get(name, "i32") for name in names}
    types.update(dict.fromkeys(constants, "constexpr"))
    compiled = triton.compile(
        ASTSource(program, types, constants),
        target=GPUTarget("cuda", architecture, 32),
        options={"enable_fp_fusion": True},
    )
    assert compiled.asm["cubin"]
    return str(compiled.asm["ptx"])


@pytest.fixture(autouse=True)
def _compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(
        "triton",
        "3.3",
        reason="calls the compiler of Triton 3.3: pip install triton>=3.3, then `make test`",
    )
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


@pytest.mark.parametrize(("architecture", "dtype"), TARGETS, ids=str)
def test_frame_program(architecture: int, dtype: str) -> None:
    from tdnet.backends.cuda.kernels.frame_program import make_frame

    signature = {
        "pixels": BYTES,
        "frame": f"*{dtype}",
        "row_starts": "*i32",
        "row_weights": NUMBERS,
        "column_starts": "*i32",
        "column_weights": NUMBERS,
        "normalisation": NUMBERS,
    }
    code = machine_code(make_frame, signature, {"BLOCK": 512}, architecture)
    # Double precision takes 32 or 64 times as long on most GPUs.
    assert re.search(r"\.f64\b", code) is None


@pytest.mark.parametrize("probability", [True, False])
@pytest.mark.parametrize(("architecture", "dtype"), TARGETS, ids=str)
def test_outputs_program(architecture: int, dtype: str, probability: bool) -> None:
    from tdnet.backends.cuda.kernels.outputs_program import make_outputs

    signature = {
        "logits": f"*{dtype}",
        **dict.fromkeys(["ids", "pixels", "labels", "confidence", "overlay"], BYTES),
        "paint": "*i32",
        "counts": "*i32",
        **dict.fromkeys(["row_step", "column_step", "threshold"], "fp32"),
    }
    # With channels last; Triton specialises all arguments that are 1.
    ones = {} if probability else dict.fromkeys(["rows", "columns", "row_stride", "width"], 1)
    unrolled = {"CLASSES": 6, "CHUNK": 3, "BLOCK": 256, "class_stride": 1}
    constants = {"PROBABILITY": probability, **unrolled, **ones}
    code = machine_code(make_outputs, signature, constants, architecture)
    assert re.search(r"\.f64\b", code) is None
    assert ("ex2.approx" in code) == probability
