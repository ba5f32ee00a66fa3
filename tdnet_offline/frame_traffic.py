"""The memory that a frame reads, writes and keeps, counted on the meta device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tdnet.variants import DEFAULT_CLASSES, Variant
from tdnet_offline.operations import stream_without_computing

_FLOAT16_BYTES = 2
# As `step` calls them; in inference mode they are not taken apart before a dispatch mode.
_PRODUCTS = {"conv2d", "linear", "matmul", "convolution", "mm", "bmm", "addmm", "baddbmm"}


@dataclass(frozen=True)
class FrameTraffic:
    """Bytes of one frame with a full memory, every number in float16.

    Attributes:
        product_bytes: what convolutions and matrix products alone read (with their weights) and
            write, each tensor once: all that is left if everything between them is fused.
        all_bytes: what all operators read and write if none is fused with another.
        live_bytes: the most that intermediate results take at one time.
    """

    product_bytes: int
    all_bytes: int
    live_bytes: int


def count_traffic(
    variant: str | Variant,
    input_size: tuple[int, int] | None = None,
    num_classes: int = DEFAULT_CLASSES,
) -> FrameTraffic:
    """Counts the bytes that a frame moves, from the normalised picture to the logits.

    Not counted is what stands before and after the network: resizing the camera's picture, and
    labels at its size.

    Args:
        variant: a name of `tdnet.list_variants`, or a description.
        input_size: height and width of the network input; None is the variant's own.
        num_classes: channels of the logits.

    Raises:
        UnknownNameError: no variant has that name.
        InputError: a class count or size out of range.
    """
    _, _, step = stream_without_computing(variant, input_size, num_classes)
    with TrafficCounter() as counter:
        step()
    return counter.traffic


class TrafficCounter(TorchDispatchMode):
    """Counts what operators read, write and keep within a `with` statement."""

    def __init__(self) -> None:
        super().__init__()
        self._products = self._all = self._most_live = 0
        self._live: dict[int, tuple[StorageWeakRef, int]] = {}

    @property
    def traffic(self) -> FrameTraffic:
        """What was counted so far."""
        numbers = (self._products, self._all, self._most_live)
        return FrameTraffic(*(count * _FLOAT16_BYTES for count in numbers))

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Run an operator and count it."""
        result = func(*args, **(kwargs or {}))
        given, returned = _tensors((args, kwargs)), _tensors(result)
        known = {tensor.untyped_storage()._cdata for tensor in given}
        new = [tensor for tensor in returned if tensor.untyped_storage()._cdata not in known]
        if new or func._schema.is_mutable:  # otherwise a view, which moves nothing
            moved = sum(tensor.numel() for tensor in (*given, *returned))
            self._all += moved
            self._products += moved if func.overloadpacket.__name__ in _PRODUCTS else 0
        for tensor in new:
            storage = tensor.untyped_storage()
            numbers = storage.nbytes() // tensor.element_size()
            self._live[storage._cdata] = StorageWeakRef(storage), numbers
        self._live = {key: kept for key, kept in self._live.items() if not kept[0].expired()}
        self._most_live = max(self._most_live, sum(numbers for _, numbers in self._live.values()))
        return result


def _tensors(values: object) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, torch.Tensor)]
