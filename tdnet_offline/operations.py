"""Operations, parameters and memory traffic of a network, counted on the meta device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from tdnet.network import SegmentationNetwork, create_model
from tdnet.network.layers import ConvNorm, SkipInitialisation
from tdnet.network.temporal_memory import TemporalMemory
from tdnet.variants import DEFAULT_CLASSES, Variant

_FLOAT16_BYTES = 2
# Names as `step` calls them: in inference mode they reach a dispatch mode in one piece.
_PRODUCTS = {"conv2d", "linear", "matmul", "convolution", "mm", "bmm", "addmm", "baddbmm"}


@dataclass(frozen=True)
class NetworkCost:
    """The cost of a network at one input size.

    Attributes:
        num_parameters: trainable parameters of all paths.
        multiply_adds: multiply-accumulate operations of one frame (10^9 are a GMAC): all
            convolutions and matrix products of `step` with a full memory, that is backbone,
            pyramid, encoding, the whole attention chain and head. Norms, activations, softmax,
            pooling and resizes are not counted.
        memory_bytes: temporal memory of one stream in float32.
    """

    num_parameters: int
    multiply_adds: int
    memory_bytes: int


@dataclass(frozen=True)
class FrameTraffic:
    """Memory traffic of one frame with a full memory, in bytes of float16.

    Attributes:
        product_bytes: read (weights included) and written by convolutions and matrix products,
            each tensor once: the traffic if everything between them is fused.
        all_bytes: read and written by all operators if nothing is fused.
        live_bytes: peak of the intermediate results.
    """

    product_bytes: int
    all_bytes: int
    live_bytes: int


@lru_cache(maxsize=64)
def count_operations(
    variant: str | Variant,
    input_size: tuple[int, int] | None = None,
    num_classes: int = DEFAULT_CLASSES,
) -> NetworkCost:
    """Count parameters, operations of a frame, and bytes of memory.

    Args and errors as in `tdnet.create_model`.
    """
    model, memory, step = _meta_stream(variant, input_size, num_classes)
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    for layer in model.modules():
        if isinstance(layer, ConvNorm):  # norms are not counted, and take most of the time
            layer.bn = nn.Identity()
    with FlopCounterMode(display=False) as counter:
        step()
    return NetworkCost(
        num_parameters=num_parameters,
        # The counter counts a multiply-add as two operations.
        multiply_adds=counter.get_total_flops() // 2,
        memory_bytes=memory.nbytes,
    )


def count_traffic(
    variant: str | Variant,
    input_size: tuple[int, int] | None = None,
    num_classes: int = DEFAULT_CLASSES,
) -> FrameTraffic:
    """Count the bytes that a frame reads and writes, from normalised input to logits.

    Preprocessing and postprocessing (resize, labels at the size of the camera) are not counted.
    Args and errors as in `tdnet.create_model`.
    """
    _, _, step = _meta_stream(variant, input_size, num_classes)
    with TrafficCounter() as counter:
        step()
    return counter.traffic


class TrafficCounter(TorchDispatchMode):
    """Count the bytes that operators read, write and keep within a `with` statement."""

    def __init__(self) -> None:
        super().__init__()
        self._products = self._all = self._most_live = 0
        self._live: dict[int, tuple[StorageWeakRef, int]] = {}

    @property
    def traffic(self) -> FrameTraffic:
        """The counts so far."""
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
        if new or func._schema.is_mutable:  # a view moves nothing
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


def _meta_stream(
    variant: str | Variant, input_size: tuple[int, int] | None, num_classes: int
) -> tuple[SegmentationNetwork, TemporalMemory, Callable[[], object]]:
    """Return a network on the meta device, its full memory, and a function that steps it."""
    meta = torch.device("meta")
    with meta, SkipInitialisation():
        model = create_model(variant, num_classes=num_classes, input_size=input_size)
        memory = model.new_memory(meta)
        frame = torch.empty(1, 3, *model.input_size)

    def step() -> object:
        with meta, torch.inference_mode():
            return model.step(frame, memory)

    for _ in range(memory.capacity):
        step()
    return model, memory, step


def _tensors(values: object) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]
