"""The networks, and the parts that they are built from."""

from __future__ import annotations

import logging

from tdnet.network.single_frame import SingleFrameNetwork
from tdnet.network.tdnet import TDNet
from tdnet.variants import DEFAULT_CLASSES, Variant, get_variant

logger = logging.getLogger("tdnet")
SegmentationNetwork = SingleFrameNetwork | TDNet

__all__ = ["SegmentationNetwork", "SingleFrameNetwork", "TDNet", "create_model"]


def create_model(
    variant: str | Variant,
    num_classes: int = DEFAULT_CLASSES,
    input_size: tuple[int, int] | None = None,
    memory_stride: int | None = None,
) -> SegmentationNetwork:
    """Create a network with random weights, in evaluation mode, on the default device.

    Args:
        variant: a name of :func:`tdnet.list_variants`, or a description.
        num_classes: channels of the logits, 1 to 255.
        input_size: height and width of the network input; None: the variant's native size. With
            one warning, it is changed to the nearest multiples that the backbone takes.
        memory_stride: s, rows and columns between the positions that the memory stores; None: the
            variant's own. The published training code uses 3.

    Raises:
        UnknownNameError: no variant has that name.
        InputError: a class count, size or stride is out of range.
    """
    chosen = get_variant(variant) if isinstance(variant, str) else variant
    network = TDNet if chosen.paths > 1 else SingleFrameNetwork
    size = chosen.fitting_size(input_size)
    if input_size not in (None, size):
        logger.warning(
            "input size %s x %s: %s takes multiples of %s, so frames are resized to %s x %s",
            *(*input_size, chosen.name, chosen.backbone.size_multiple, *size),
        )
    return network(
        chosen,
        num_classes=num_classes,
        input_size=size,
        memory_stride=memory_stride or chosen.memory_stride,
    ).eval()
