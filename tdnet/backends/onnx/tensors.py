"""The inputs and outputs of exported graphs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tdnet._util.records import Range
from tdnet.errors import WeightsError, quoted
from tdnet.variants import Variant, feature_size

LOGITS = "logits"
ENTRY = ("query", "key", "value")
"""Outputs that are the frame's memory entry, as `MemoryEntry` has them."""
Side = Annotated[int, Range(1, 1 << 24)]


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of every graph of a folder.

    Attributes:
        name: ``frame``; ``query_I``, ``key_I``, ``value_I`` of the I-th memory frame, 0 being the
            oldest; ``logits``; ``query``, ``key``, ``value`` of this frame.
        shape: sides; -1: the graph leaves the side open, which no description does.
        dtype: name of the number type in NumPy.
    """

    name: str
    shape: tuple[Side, ...]
    dtype: str


def input_tensors(variant: Variant, size: tuple[int, int], dtype: str) -> tuple[TensorSpec, ...]:
    """Return the inputs of a graph, in order; past frames from the oldest on, without its query.

    Args:
        variant: description of the network with its memory frames.
        size: height and width of frames.
        dtype: of all tensors.
    """
    entry = _memory_entry(variant, size, dtype)
    return (
        TensorSpec("frame", (1, 3, *size), dtype),
        *(
            TensorSpec(f"{spec.name}_{place}", spec.shape, spec.dtype)
            for place in range(variant.memory_capacity)
            for spec in entry
            if place or spec.name != "query"
        ),
    )


def output_tensors(
    variant: Variant,
    num_classes: int,
    size: tuple[int, int],
    dtype: str,
    logits_size: tuple[int, int] | None = None,
) -> tuple[TensorSpec, ...]:
    """Return the outputs of a graph, in order: logits, and the frame's memory entry.

    Args:
        variant: description of the network with its memory frames.
        num_classes: K, channels of the logits.
        size: height and width of frames.
        dtype: of all tensors.
        logits_size: height and width of the logits; None: at stride 8.
    """
    logits = TensorSpec(LOGITS, (1, num_classes, *(logits_size or feature_size(size))), dtype)
    return (logits, *_memory_entry(variant, size, dtype))


def _memory_entry(variant: Variant, size: tuple[int, int], dtype: str) -> tuple[TensorSpec, ...]:
    """Return the outputs of a frame's memory entry: none for a network without memory."""
    if not variant.memory_capacity:
        return ()
    height, width = feature_size(size)
    stride = variant.memory_stride
    positions = -(-height // stride) * -(-width // stride)
    channels = (variant.token_channels, variant.token_channels, variant.value_channels)
    return tuple(
        TensorSpec(name, (1, positions, count), dtype)
        for name, count in zip(ENTRY, channels, strict=True)
    )


def check_graph(graph: Path, found: Iterable[TensorSpec], wanted: Iterable[TensorSpec]) -> None:
    """Check that a graph has the tensors of its description.

    TensorRT writes the whole of an output to the address that it was given, unchecked.

    Args:
        graph: its file.
        found: tensors of the graph.
        wanted: tensors of the description.

    Raises:
        WeightsError: they differ.
    """
    given = {spec.name: spec for spec in found}
    for spec in wanted:
        own = given.pop(spec.name, None)
        if own is None:
            raise WeightsError(f"{graph} has no tensor {spec.name}: export the network again")
        if own != spec:
            raise WeightsError(
                f"{graph}: {own.name} is {described(own)}, by its description "
                f"{described(spec)}: export the network again"
            )
    for name in given:
        raise WeightsError(
            f"{graph}: its description lacks the tensor {quoted(name)}: export the network again"
        )


def described(spec: TensorSpec) -> str:
    """Return number type and shape as text for messages."""
    return f"{spec.dtype} ({', '.join(map(str, spec.shape))})"
