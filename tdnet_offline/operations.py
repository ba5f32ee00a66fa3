"""The cost of a network, counted exactly and without computing anything: on the meta device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from tdnet.network import SegmentationNetwork, create_model
from tdnet.network.temporal_memory import TemporalMemory
from tdnet.variants import DEFAULT_CLASSES, Variant


@dataclass(frozen=True)
class NetworkCost:
    """What a network needs at one input size.

    Attributes:
        num_parameters: trainable numbers, all paths together.
        multiply_adds: multiply-accumulate operations of one frame, 10^9 are a GMAC. Counted are
            all convolutions and matrix products of `step` with a full memory, as it computes
            them: backbone, pyramid, encoding, the whole attention chain and head. Not counted
            are norms, activations, softmax, pooling and the resizes.
        memory_bytes: temporal memory of one stream, in float32.
    """

    num_parameters: int
    multiply_adds: int
    memory_bytes: int


def count_operations(
    variant: str | Variant,
    input_size: tuple[int, int] | None = None,
    num_classes: int = DEFAULT_CLASSES,
) -> NetworkCost:
    """Counts parameters, operations of a frame, and bytes of memory.

    Args:
        variant: a name of `tdnet.list_variants`, or a description.
        input_size: height and width of the network input; None is the variant's own.
        num_classes: channels of the logits.

    Raises:
        UnknownNameError: no variant has that name.
        InputError: a class count or size out of range.
    """
    model, memory, step = stream_without_computing(variant, input_size, num_classes)
    with FlopCounterMode(display=False) as counter:
        step()
    return NetworkCost(
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        # The counter counts a multiplication and an addition as two.
        multiply_adds=counter.get_total_flops() // 2,
        memory_bytes=memory.nbytes,
    )


def stream_without_computing(
    variant: str | Variant,
    input_size: tuple[int, int] | None = None,
    num_classes: int = DEFAULT_CLASSES,
) -> tuple[SegmentationNetwork, TemporalMemory, Callable[[], object]]:
    """Gives a network on the meta device, its full memory, and what segments the next frame.

    Raises:
        UnknownNameError: no variant has that name.
        InputError: a class count or size out of range.
    """
    meta = torch.device("meta")
    with meta:
        model = create_model(variant, num_classes=num_classes, input_size=input_size)
        memory = model.new_memory(meta)
        frame = torch.empty(1, 3, *model.input_size)

    def step() -> object:
        with meta, torch.inference_mode():
            return model.step(frame, memory)

    for _ in range(memory.capacity):
        step()
    return model, memory, step
