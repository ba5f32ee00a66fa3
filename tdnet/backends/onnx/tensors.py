"""The inputs and outputs of exported graphs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tdnet._util.records import Range
from tdnet.errors import WeightsError, quoted
from tdnet.variants import Variant, feature_size

BATCH = "batch"
"""In shapes: a number of frames that the caller chooses."""
LOGITS, LABELS = "logits", "labels"
ENTRY = ("query", "key", "value")
"""Outputs that form the memory entry of the frame, in the order of `MemoryEntry`."""
Batch = int | str
"""Number of frames, or `BATCH`."""
Side = Annotated[int, Range(1, 1 << 24)]


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of every graph of a folder.

    Attributes:
        name: ``frame``; ``query_I``, ``key_I``, ``value_I`` of the I-th memory frame, 0 being the
            oldest; ``logits`` or ``labels``; ``query``, ``key``, ``value`` of this frame.
        shape: numbers; the first one may be `BATCH`.
        dtype: name of the number type in NumPy.
    """

    name: str
    shape: tuple[Side | str, ...]
    dtype: str

    def of_batch(self, batch: int) -> tuple[int, ...]:
        """Return the shape for a number of frames."""
        return tuple(batch if side == BATCH else int(side) for side in self.shape)


def input_tensors(
    variant: Variant, size: tuple[int, int], dtype: str, batch: Batch
) -> tuple[TensorSpec, ...]:
    """Return the inputs of a graph in order: the frame, then the memory, oldest entry first.

    The oldest entry has no query.

    Args:
        variant: description of the network with its memory frames.
        size: height and width of frames.
        dtype: number format of all inputs.
        batch: number of frames.
    """
    entry = _memory_entry(variant, size, dtype, batch)
    return (
        TensorSpec("frame", (batch, 3, *size), dtype),
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
    batch: Batch,
    output: str = LOGITS,
) -> tuple[TensorSpec, ...]:
    """Return the outputs of a graph in order: logits or labels, then the memory entry.

    Args:
        variant: description of the network with its memory frames.
        num_classes: K, channels of the logits.
        size: height and width of frames.
        dtype: number format of all outputs except labels.
        batch: number of frames.
        output: `LOGITS` at stride 8, or `LABELS` at the size of frames.
    """
    first = TensorSpec(LOGITS, (batch, num_classes, *feature_size(size)), dtype)
    if output == LABELS:
        first = TensorSpec(LABELS, (batch, *size), "uint8")
    return (first, *_memory_entry(variant, size, dtype, batch))


def _memory_entry(
    variant: Variant, size: tuple[int, int], dtype: str, batch: Batch
) -> tuple[TensorSpec, ...]:
    """Return the tensors of a memory entry; none if the network has no memory."""
    if not variant.memory_capacity:
        return ()
    height, width = feature_size(size)
    stride = variant.memory_stride
    positions = -(-height // stride) * -(-width // stride)
    channels = (variant.token_channels, variant.token_channels, variant.value_channels)
    return tuple(
        TensorSpec(name, (batch, positions, count), dtype)
        for name, count in zip(ENTRY, channels, strict=True)
    )


def check_graph(graph: Path, found: Iterable[TensorSpec], wanted: Iterable[TensorSpec]) -> None:
    """Check the inputs or outputs of a graph against its description, for one frame.

    TensorRT writes the output of an engine without checking the size of the buffer.

    Args:
        graph: file of the graph.
        found: tensors of the graph; variable sides are strings.
        wanted: tensors of the description.

    Raises:
        WeightsError: they differ.
    """
    given = {spec.name: spec for spec in found}
    for spec in wanted:
        own = given.pop(spec.name, None)
        if own is None:
            raise WeightsError(f"{graph} has no tensor {spec.name}: export the network again")
        if not _fits(own, spec):
            raise WeightsError(
                f"{graph}: {own.name} is {described(own)}, by its description "
                f"{described(spec)}: export the network again"
            )
    for name in given:
        raise WeightsError(
            f"{graph}: its description lacks the tensor {quoted(name)}: export the network again"
        )


def described(spec: TensorSpec) -> str:
    """Return number format and shape for messages."""
    return f"{spec.dtype} ({', '.join(map(str, spec.shape))})"


def _fits(own: TensorSpec, spec: TensorSpec) -> bool:
    wanted = spec.of_batch(1)
    return (
        own.dtype == spec.dtype
        and len(own.shape) == len(wanted)
        and all(isinstance(a, str) or a == b for a, b in zip(own.shape, wanted, strict=True))
    )
