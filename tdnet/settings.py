"""The choices that make a segmenter; every default of the model stands here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tdnet.class_map import ClassMap
from tdnet.errors import WeightsError
from tdnet.variants import get_variant

if TYPE_CHECKING:
    from tdnet.streaming import StreamingSegmenter

DEFAULT_CLASS_MAP = "cityscapes"


@dataclass(frozen=True)
class SegmenterSettings:
    """What the node's parameters and the command's options choose.

    Attributes:
        variant: a name of :func:`tdnet.list_variants`.
        weights: path of a weights file; empty for those packaged with the project.
        class_map: packaged name or path of a YAML file; empty for the one stored with the
            weights, or else ``cityscapes``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ...
        precision: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
        input_size: height and width of the network input; None for the size that the weights
            were made for, or else the variant's native one.
    """

    variant: str = "td4-psp18-nano"
    weights: str = ""
    class_map: str = ""
    device: str = "auto"
    precision: str = "auto"
    input_size: tuple[int, int] | None = None

    def build(self) -> StreamingSegmenter:
        """Create the network, load its weights, and put it on the device.

        Raises:
            TdnetError: an unknown name, a file that cannot be used, a class map that does not
                fit, or a device that this machine lacks; the message says what to do.
        """
        from tdnet.checkpoint_file import read_checkpoint
        from tdnet.device import resolve_device, resolve_precision
        from tdnet.network import create_model
        from tdnet.streaming import StreamingSegmenter
        from tdnet.weights import (
            load_weights,
            packaged_weights,
            stored_class_map,
            stored_input_size,
            stored_memory_frames,
        )

        variant = get_variant(self.variant)
        resolve_precision(self.precision, resolve_device(self.device))
        path = self.weights or packaged_weights(variant.name)
        if not path:
            raise WeightsError(
                f"no weights given, and none are packaged for {variant.name}: set `weights` to a "
                "checkpoint of that variant"
            )
        checkpoint = read_checkpoint(path)
        if self.class_map:
            class_map = ClassMap.load(self.class_map)
        else:
            class_map = stored_class_map(checkpoint) or ClassMap.load(DEFAULT_CLASS_MAP)
        model = create_model(
            variant.limited_memory(stored_memory_frames(checkpoint)),
            num_classes=class_map.num_network_classes,
            input_size=self.input_size or stored_input_size(checkpoint),
        )
        load_weights(model, checkpoint)
        return StreamingSegmenter(
            model, class_map=class_map, device=self.device, precision=self.precision
        )
