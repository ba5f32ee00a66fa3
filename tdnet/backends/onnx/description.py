"""The description of a folder of exported graphs: the JSON file beside them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import yaml

from tdnet._util.documents import Document, RecordError, load_document, parse_json
from tdnet._util.records import Matching, Range, Stored, plain, read_record
from tdnet._util.regular_files import file_problem
from tdnet.backends.onnx.tensors import (
    Side,
    TensorSpec,
    described,
    input_tensors,
    output_tensors,
)
from tdnet.class_map.classes import MAX_NETWORK_CLASSES
from tdnet.class_map.model import ClassMap
from tdnet.errors import WeightsError, quoted
from tdnet.frames.preprocess import MEAN, STD
from tdnet.variants import (
    ADOPTED,
    MAX_PIXELS,
    MAX_SIDE,
    MIN_SIDE,
    Variant,
    get_variant,
    list_variants,
)

DESCRIPTION_NAME = "export.json"
FORMAT, FORMAT_VERSION = "onnx", 1
MAX_BYTES = 1 << 20
MAX_GRAPH_BYTES = 2 << 30
CYCLE_RULE = (
    "Frame t since the last reset runs graph t mod N of the N. Once memory_frames frames have "
    "run, NAME_I is the output NAME of the I-th of the last memory_frames frames, the oldest "
    "first; until then all are zeros."
)
PREPROCESSING = {
    "colors": "RGB",
    "layout": "NCHW",
    "scale": 1 / 255,
    "mean": MEAN,
    "std": STD,
    "resize": "bilinear, corners not aligned, filtered when it shrinks (antialias); then "
    "(scale * pixel - mean) / std",
}
POSTPROCESSING = (
    "logits are resized to the wanted size (bilinear, align_corners as given); the best channel "
    "is the class of class_map that names it under 'from' (or as its id)"
)
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
PRECISIONS = {
    "float32": "float32",
    "float16": "float16",
    "int8": "float32",
    "int8-tensorrt": "float32",
}
"""Number type of the tensors by precision."""
_ClassMap = Annotated[
    ClassMap,
    Stored(
        Any,
        decode=lambda value: ClassMap.from_document(Document(value, "")),
        encode=lambda class_map: yaml.safe_load(class_map.to_yaml()),
    ),
]


@dataclass(frozen=True)
class HashedFile:
    """A file and its hash.

    Attributes:
        file: name.
        sha256: hexadecimal.
    """

    file: str
    sha256: Annotated[str, Matching("[0-9a-f]{64}", "64 hexadecimal digits")]

    def read(self, folder: Path) -> bytes:
        """Read the file and check its hash.

        Raises:
            WeightsError: the file cannot be read, is not a regular file, or has another hash.
        """
        path = folder / self.file
        problem = file_problem(path, MAX_GRAPH_BYTES)
        if problem:
            raise WeightsError(f"{path}: {problem}; copy the whole folder again, or export again")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise WeightsError(
                f"{path} is not the file that was exported (its SHA-256 differs): copy the whole "
                "folder again"
            )
        return data


@dataclass(frozen=True)
class Cycle:
    """The graphs and their order.

    Attributes:
        graphs: one for each path, in the order of their turns; one if they share their weights.
        memory_frames: past frames that each frame attends to; the capacity M of the memory.
        rule: the order in words.
    """

    graphs: tuple[HashedFile, ...]
    memory_frames: Annotated[int, Range(0, 99)]
    rule: str = CYCLE_RULE


@dataclass(frozen=True)
class ExportDescription:
    """Everything that a program needs to run the graphs of a folder.

    Attributes:
        format: `FORMAT`.
        variant: name of the network.
        num_classes: K, channels of the logits.
        input_size: height and width of frames.
        precision: ``float32``, ``float16``; ``int8`` (activations unsigned) or ``int8-tensorrt``
            (signed, around zero) of the convolutions, while tensors are float32.
        opset: version of the ONNX operators.
        cycle: the graphs.
        inputs: inputs of every graph.
        outputs: outputs of every graph.
        preprocessing: `PREPROCESSING`.
        postprocessing: `POSTPROCESSING`.
        class_map: classes of the network's channels.
        weights: the exported weights file, or the adopted graph.
        made_with: versions of packages by name.
        align_corners: whether the corners are aligned where logits are resized; else pixels have
            their centres at half numbers.
        adopted: properties of an adopted graph, for readers; None: a network of this project.
    """

    format: Annotated[str, Matching(FORMAT, FORMAT)]
    variant: str
    num_classes: Annotated[int, Range(1, MAX_NETWORK_CLASSES)]
    input_size: tuple[Side, Side]
    precision: Annotated[str, Matching("|".join(PRECISIONS), ", ".join(PRECISIONS))]
    opset: Annotated[int, Range(1, 99)]
    cycle: Cycle
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    preprocessing: Mapping[str, Any]
    postprocessing: str
    class_map: _ClassMap
    weights: HashedFile
    made_with: Mapping[str, str]
    align_corners: bool = True
    adopted: Mapping[str, Any] | None = None

    @property
    def is_adopted(self) -> bool:
        """Whether the network is of another project."""
        return self.variant == ADOPTED.name

    @property
    def network(self) -> Variant:
        """Description of the network with its memory frames."""
        variant = ADOPTED if self.is_adopted else get_variant(self.variant)
        variant = replace(variant, align_corners=self.align_corners)
        return variant.limited_memory(self.cycle.memory_frames)

    def to_json(self) -> str:
        """Return the JSON document that `read_description` reads."""
        document = {"format_version": FORMAT_VERSION, **plain(self)}
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def read_description(folder: Path) -> ExportDescription:
    """Read the description of a folder, which may come from anywhere.

    Raises:
        WeightsError: no description, another version, or graphs that this program cannot run; the
            message names the field.
    """
    path = folder / DESCRIPTION_NAME
    try:
        document = load_document(path, MAX_BYTES, parse_json)
    except RecordError as error:
        raise WeightsError(
            f"{error}; give a folder that `tdnet export` or `tdnet adopt` wrote"
        ) from error
    try:
        values = document.value if isinstance(document.value, dict) else {}
        version = values.pop("format_version", None)
        if version != FORMAT_VERSION:
            raise document.mismatch(("format_version",), version, str(FORMAT_VERSION))
        description = read_record(ExportDescription, document)
        _check(description, document)
    except RecordError as error:
        raise WeightsError(f"{error}; export the network again") from error
    return description


def _check(description: ExportDescription, document: Document) -> None:
    """Check that the parts fit each other, the variant and the rules of the memory.

    Raises:
        RecordError: they do not.
    """
    height, width = description.input_size
    fits = all(MIN_SIDE <= side <= MAX_SIDE for side in (height, width))
    if not fits or height * width > MAX_PIXELS:
        raise document.error(
            ("input_size",),
            f"got {height} x {width}; allowed sides of {MIN_SIDE} to {MAX_SIDE} pixels, and "
            f"{MAX_PIXELS >> 20} megapixels",
        )
    if not description.is_adopted and description.variant not in list_variants():
        names = ", ".join([*list_variants(), ADOPTED.name])
        raise document.mismatch(("variant",), description.variant, names)
    variant, cycle = description.network, description.cycle
    if variant.memory_capacity != cycle.memory_frames:
        raise document.mismatch(
            ("cycle", "memory_frames"), cycle.memory_frames, f"0 to {variant.paths - 1}"
        )
    files = {graph.file for graph in cycle.graphs}
    if len(cycle.graphs) != variant.sub_networks or len(files) != variant.sub_networks:
        raise document.error(
            ("cycle", "graphs"),
            f"got {len(cycle.graphs)} graphs in {len(files)} files; {variant.name} has "
            f"{variant.sub_networks} graphs, each in its own file",
        )
    for index, graph in enumerate(cycle.graphs):
        if not _FILE.fullmatch(graph.file):
            path = ("cycle", "graphs", index, "file")
            raise document.mismatch(path, graph.file, "a file name as `tdnet export` writes it")
    classes = description.num_classes
    if description.class_map.num_network_classes != classes:
        raise document.error(("class_map",), f"is not for {classes} network classes")
    dtype, size = PRECISIONS[description.precision], description.input_size
    _check_tensors("inputs", description.inputs, input_tensors(variant, size, dtype), document)
    logits_size = None
    if description.is_adopted and description.outputs:
        shape = description.outputs[0].shape
        rows, columns = shape[2:4] if len(shape) == 4 else (1, 1)
        logits_size = min(rows, height), min(columns, width)
    outputs = output_tensors(variant, classes, size, dtype, logits_size)
    _check_tensors("outputs", description.outputs, outputs, document)


def _check_tensors(
    field: str, given: Sequence[TensorSpec], wanted: Sequence[TensorSpec], document: Document
) -> None:
    for index, (own, spec) in enumerate(zip(given, wanted, strict=False)):
        if own != spec:
            raise document.error(
                (field, index),
                f"got {quoted(own.name)}, {described(own)}; allowed {spec.name}, "
                f"{described(spec)}",
            )
    if len(given) != len(wanted):
        raise document.error((field,), f"got {len(given)} tensors; the variant has {len(wanted)}")
