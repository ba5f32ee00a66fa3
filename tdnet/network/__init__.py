"""The networks, and the parts that they are built from."""

from __future__ import annotations

from tdnet.network.single_frame import SingleFrameNetwork
from tdnet.network.tdnet import TDNet
from tdnet.variants import DEFAULT_CLASSES, Variant, get_variant

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
        input_size: height and width of the network input, rounded by `Variant.fitting_size`;
            None: the variant's native size.
        memory_stride: s, rows and columns between the positions that the memory stores; None: the
            variant's own. The published training code uses 3.

    Raises:
        UnknownNameError: no variant has that name.
        InputError: a class count, size or stride is out of range.
    """
    chosen = get_variant(variant) if isinstance(variant, str) else variant
    network = TDNet if chosen.paths > 1 else SingleFrameNetwork
    return network(
        chosen,
        num_classes=num_classes,
        input_size=chosen.fitting_size(input_size),
        memory_stride=memory_stride or chosen.memory_stride,
    ).eval()
