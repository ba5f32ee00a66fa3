"""Reading the description of a folder of exported graphs, which anybody may have made."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from tdnet._util.json_value import JsonValue
from tdnet._util.regular_files import file_problem
from tdnet.backends.onnx.description import (
    BATCH,
    DESCRIPTION_NAME,
    FORMAT_VERSION,
    LABELS,
    LOGITS,
    ExportDescription,
    GraphFile,
    TensorSpec,
)
from tdnet.backends.onnx.tensors import described, input_tensors, output_tensors
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError, WeightsError, quoted
from tdnet.network.base import MAX_PIXELS, MAX_SIDE, MIN_SIDE
from tdnet.variants import list_variants

_FIELDS = (
    *("format_version", "format", "variant", "num_classes", "input_size", "precision", "opset"),
    *("cycle", "inputs", "outputs", "preprocessing", "postprocessing", "class_map", "weights"),
    "made_with",
)
MAX_BYTES = 1 << 20
_MOST = 1 << 24
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_HASH = re.compile(r"[0-9a-f]{64}")
_TENSORS = {
    "float32": "float32",
    "float16": "float16",
    "int8": "float32",
    "int8-tensorrt": "float32",
}
"""Number type of the tensors of each precision, but for labels."""
_DTYPES = (*dict.fromkeys(_TENSORS.values()), "uint8")


def read_description(folder: Path) -> ExportDescription:
    """Read the description of a folder, which anybody may have made.

    Raises:
        WeightsError: there is none, or it is not of this version or kind; with the field.
    """
    path = folder / DESCRIPTION_NAME
    problem = file_problem(path, MAX_BYTES)
    if problem:
        raise WeightsError(
            f"{path}: {problem}; give a folder that `tdnet export --format onnx` wrote"
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        version = document.get("format_version") if isinstance(document, dict) else None
        if version != FORMAT_VERSION:
            raise InputError(f"format_version is {version!r}, not {FORMAT_VERSION}")
        return _read(cast("dict[str, Any]", document), str(path))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: {error}; export the network again") from error


def _read(document: dict[str, Any], source: str) -> ExportDescription:
    field = JsonValue(document).fields(_FIELDS)
    cycle = field["cycle"].fields(("graphs", "memory_frames", "rule"))
    weights = field["weights"].fields(("file", "sha256"))
    description = ExportDescription(
        format=_one_of(field["format"], ("onnx", "torch", "aoti")),
        variant=_one_of(field["variant"], list_variants()),
        memory_frames=cycle["memory_frames"].integer(0, 99),
        num_classes=field["num_classes"].integer(1, 255),
        input_size=cast(
            "tuple[int, int]",
            field["input_size"].tuple_of(2, lambda side: side.integer(1, _MOST)),
        ),
        precision=_one_of(field["precision"], tuple(_TENSORS)),
        opset=field["opset"].optional(lambda value: value.integer(1, 99)),
        graphs=tuple(_graph(item) for item in cycle["graphs"].items()),
        inputs=tuple(_tensor(item) for item in field["inputs"].items()),
        outputs=tuple(_tensor(item) for item in field["outputs"].items()),
        class_map=ClassMap.from_yaml(
            json.dumps(document["class_map"], ensure_ascii=False), f"{source} (class_map)"
        ),
        weights=weights["file"].text(),
        weights_sha256=weights["sha256"].text(),
        made_with=field["made_with"].mapping_of(JsonValue.text),
    )
    _check(description)
    return description


def _check(description: ExportDescription) -> None:
    """Refuse what cannot be run: the parts contradict each other, or the memory's rule.

    Raises:
        InputError: with what is wrong.
    """
    height, width = description.input_size
    fits = all(MIN_SIDE <= side <= MAX_SIDE for side in (height, width))
    if not fits or height * width > MAX_PIXELS:
        raise InputError(
            f"input_size is {height} x {width}; allowed are sides of {MIN_SIDE} to {MAX_SIDE} "
            f"pixels, and {MAX_PIXELS >> 20} megapixels"
        )
    variant = description.network
    if variant.memory_capacity != description.memory_frames:
        raise InputError(f"memory_frames is {description.memory_frames}; too many for the variant")
    if len(description.graphs) != variant.paths:
        raise InputError(f"{len(description.graphs)} graphs; {variant.name} has {variant.paths}")
    if description.class_map.num_network_classes != description.num_classes:
        raise InputError(f"class_map is not for {description.num_classes} network classes")
    if len({graph.file for graph in description.graphs}) != variant.paths:
        raise InputError("cycle.graphs names a file twice; each path has its own")
    dtype = _TENSORS[description.precision]
    size, inputs, outputs = description.input_size, description.inputs, description.outputs
    batch = BATCH if inputs and inputs[0].shape[:1] == (BATCH,) else 1
    _check_tensors("inputs", inputs, input_tensors(variant, size, dtype, batch))
    output = LABELS if outputs and outputs[0].name == LABELS else LOGITS
    classes = description.num_classes
    wanted = output_tensors(variant, classes, size, dtype, batch, output)
    _check_tensors("outputs", outputs, wanted)


def _check_tensors(field: str, given: Sequence[TensorSpec], wanted: Sequence[TensorSpec]) -> None:
    for place, (own, spec) in enumerate(zip(given, wanted, strict=False)):
        if own != spec:
            raise InputError(
                f"{field}[{place}] is {quoted(own.name)}, {described(own)}, not {spec.name}, "
                f"{described(spec)}"
            )
    if len(given) != len(wanted):
        raise InputError(f"{field} are {len(given)}; the variant has {len(wanted)}")


def _graph(value: JsonValue) -> GraphFile:
    field = value.fields(("file", "sha256"))
    return GraphFile(_like(field["file"], _FILE), _like(field["sha256"], _HASH))


def _tensor(value: JsonValue) -> TensorSpec:
    field = value.fields(("name", "shape", "dtype"))
    shape: list[int | str] = []
    for number, side in enumerate(field["shape"].items()):
        if number == 0 and side.is_text:
            shape.append(_one_of(side, (BATCH,)))
        else:
            shape.append(side.integer(1, _MOST))
    return TensorSpec(field["name"].text(), tuple(shape), _one_of(field["dtype"], _DTYPES))


def _one_of(value: JsonValue, allowed: tuple[str, ...] | list[str]) -> str:
    text = value.text()
    if text not in allowed:
        raise InputError(f"{value.name} is {quoted(text)}; allowed are {', '.join(allowed)}")
    return text


def _like(value: JsonValue, pattern: re.Pattern[str]) -> str:
    text = value.text()
    if not pattern.fullmatch(text):
        raise InputError(f"{value.name} is {quoted(text)}, which no export writes")
    return text
