"""Settings of a segmenter, with the defaults of the model."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tdnet.backends import EXPORT_RUNTIMES
from tdnet.class_map.model import ClassMap
from tdnet.errors import WeightsError
from tdnet.variants import get_variant

if TYPE_CHECKING:
    from tdnet.checkpoints.checkpoint import Checkpoint
    from tdnet.network import SegmentationNetwork
    from tdnet.segmenter import StreamingSegmenter

DEFAULT_CLASS_MAP = "cityscapes"
PACKAGED_PURPOSE = (
    "trained on drawn streets and a few hundred real frames; for research and evaluation only, "
    "never for a robot's safety (docs/nano-weights.md)"
)
"""Purpose of the packaged weights, in one line."""


@dataclass(frozen=True)
class SegmenterSettings:
    """Model, device and sizes, as the node's parameters and the command's options set them.

    Attributes:
        variant: a name of :func:`tdnet.list_variants`.
        weights: path of a weights file, or of a folder that `tdnet export` wrote if the runtime
            runs exported graphs; empty: the packaged weights. A leading ``~`` is the home
            folder, also in class_map.
        class_map: packaged name or path of a YAML file; empty: the class map stored with the
            weights, or else ``cityscapes``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ...
        precision: ``auto``, ``float32``, ``bfloat16`` or ``float16``; for exported graphs
            ``auto`` or the precision of the export.
        input_size: height and width of the network input; None: the size that the weights were
            made for, or else the variant's native size.
        runtime: name in `tdnet.backends.RUNTIMES`; all but ``torch`` run exported graphs.
    """

    variant: str = "td4-psp18-nano"
    weights: str = ""
    class_map: str = ""
    device: str = "auto"
    precision: str = "auto"
    input_size: tuple[int, int] | None = None
    runtime: str = "torch"

    def __post_init__(self) -> None:
        """Expand a leading ``~``: no shell expands it in a parameter or launch argument."""
        for name in ("weights", "class_map"):
            object.__setattr__(self, name, os.path.expanduser(getattr(self, name)))

    def build(self) -> StreamingSegmenter:
        """Create the network, load its weights, and move it to the device.

        Raises:
            TdnetError: an unknown name, a file that cannot be used, a class map that does not
                fit, a runtime that is not installed, or a device that the machine lacks; with
                the remedy.
        """
        from tdnet._util.device import resolve_device, resolve_precision
        from tdnet.segmenter import StreamingSegmenter

        get_variant(self.variant)
        if self.runtime != "torch":
            from tdnet.backends.onnx.export_folder import ExportRequest, open_exported

            request = ExportRequest(
                self.weights,
                self.runtime,
                self.variant,
                self.input_size,
                self.precision,
                self.device,
            )
            backend = open_exported(request)
            class_map = ClassMap.load(self.class_map) if self.class_map else backend.class_map
            return StreamingSegmenter(backend, class_map=class_map)
        resolve_precision(self.precision, resolve_device(self.device))
        model, class_map = self.load_model()
        return StreamingSegmenter(
            model, class_map=class_map, device=self.device, precision=self.precision
        )

    @property
    def uses_packaged_weights(self) -> bool:
        """Whether the packaged weights are loaded because none are given."""
        return not self.weights

    @property
    def weights_path(self) -> Path:
        """Path of the given weights file, or of the one packaged for the variant.

        Raises:
            WeightsError: there is neither.
        """
        from tdnet.checkpoints.weights import packaged_weights

        path = self.weights or packaged_weights(self.variant)
        if not path:
            raise WeightsError(
                f"no weights given, and none are packaged for {self.variant}: set `weights` to a "
                "checkpoint of that variant"
            )
        return Path(path)

    def open_checkpoint(self) -> Checkpoint:
        """Read the weights file.

        Raises:
            UnknownNameError: no variant has that name.
            WeightsError: there is no weights file, or it cannot be used.
        """
        from tdnet.checkpoints.checkpoint import Checkpoint

        get_variant(self.variant)
        path = self.weights_path
        if path.is_dir():
            raise WeightsError(
                f"{path} is a folder: give a weights file, or for exported graphs set runtime to "
                f"{EXPORT_RUNTIMES}"
            )
        return Checkpoint.open(path)

    def load_model(
        self, checkpoint: Checkpoint | None = None
    ) -> tuple[SegmentationNetwork, ClassMap]:
        """Create the network on the CPU and load its weights.

        Args:
            checkpoint: result of `open_checkpoint`; None: read the file.

        Returns:
            The network and its class map.

        Raises:
            TdnetError: an unknown name, a file that cannot be used, or a class map that does not
                fit; with the remedy.
        """
        from tdnet.checkpoints.weights import load_weights
        from tdnet.network import create_model
        from tdnet.network.layers import SkipInitialisation

        variant = get_variant(self.variant)
        checkpoint = checkpoint or self.open_checkpoint()
        if self.class_map:
            class_map = ClassMap.load(self.class_map)
        else:
            class_map = checkpoint.class_map or ClassMap.load(DEFAULT_CLASS_MAP)
        with SkipInitialisation():
            model = create_model(
                variant.limited_memory(checkpoint.memory_frames()),
                num_classes=class_map.num_network_classes,
                input_size=self.input_size or checkpoint.input_size,
            )
        load_weights(model, checkpoint)
        return model, class_map
