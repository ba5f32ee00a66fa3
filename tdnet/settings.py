"""Settings of a segmenter, with the defaults of the model."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tdnet._util.resources import packaged_weights
from tdnet.backends import AUTO, ONNXRUNTIME
from tdnet.class_map.model import ClassMap
from tdnet.class_map.stored import stored_class_map
from tdnet.errors import ClassMapError, WeightsError
from tdnet.variants import DEFAULT_VARIANT, get_variant

if TYPE_CHECKING:
    from tdnet.backends.selection import BackendRequest
    from tdnet.checkpoints.checkpoint import Checkpoint
    from tdnet.network import SegmentationNetwork
    from tdnet.segmenter import StreamingSegmenter

logger = logging.getLogger(__name__)

DEFAULT_CLASS_MAP = "cityscapes"
PACKAGED_PURPOSE = (
    "trained on drawn streets and a few hundred real frames; for research and evaluation only, "
    "never for a robot's safety (docs/packaged-weights.md)"
)
"""Purpose of the packaged weights, in one line."""

_EXPORT = """
import json
import logging
from pathlib import Path
from tdnet.backends.onnx.export import write_export
from tdnet.errors import TdnetError
from tdnet.settings import SegmenterSettings
settings, folder, precision = json.loads(sys.argv[1])
if settings["input_size"]:
    settings["input_size"] = tuple(settings["input_size"])
settings = SegmenterSettings(**settings)
handler = logging.StreamHandler()
handler.setFormatter(logging.Formatter("warning: %(message)s"))
logging.getLogger("tdnet").addHandler(handler)
try:
    checkpoint = settings.open_checkpoint()
    write_export(*settings.load_model(checkpoint), checkpoint, Path(folder), precision)
except (TdnetError, OSError) as error:
    sys.exit(str(error))
"""


@dataclass(frozen=True)
class SegmenterSettings:
    """Model, device and sizes, as the node's parameters and the command's options set them.

    Attributes:
        variant: a name of :func:`tdnet.list_variants`; ``auto``: the network of the weights, or
            `DEFAULT_VARIANT` without any.
        weights: path of a weights file, or of a folder that `tdnet export` or `tdnet adopt`
            wrote; empty: the packaged weights. A leading ``~`` is the home folder, also in
            class_map.
        class_map: packaged name or path of a YAML file; empty: the class map stored with the
            weights, or else ``cityscapes``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ...
        precision: ``auto``, ``float32``, ``bfloat16`` or ``float16``; for exported graphs
            also the precision of the export.
        input_size: height and width of the network input; None: the size that the weights were
            made for, or else the variant's native size.
        runtime: ``auto``, ``torch`` or ``onnxruntime``.
        provider: execution provider of ONNX Runtime, a name in `tdnet.backends.PROVIDERS`.
    """

    variant: str = AUTO
    weights: str = ""
    class_map: str = ""
    device: str = "auto"
    precision: str = "auto"
    input_size: tuple[int, int] | None = None
    runtime: str = AUTO
    provider: str = AUTO

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
        from tdnet.backends.selection import open_backend
        from tdnet.segmenter import StreamingSegmenter

        backend, class_map = open_backend(self.request())
        if self.class_map:
            class_map = ClassMap.load(self.class_map)
        return StreamingSegmenter(backend, class_map=class_map)

    def request(self) -> BackendRequest:
        """Return what a backend needs to know.

        Raises:
            UnknownNameError: no variant has that name.
            ClassMapError: the class map cannot be used.
            WeightsError: no weights are given, and none are packaged for the variant.
        """
        from tdnet.backends.selection import BackendRequest

        self._check_variant()
        num_classes = ClassMap.load(self.class_map).num_network_classes if self.class_map else None
        weights, exported = self.weights_path, self
        if num_classes is not None and num_classes == self._num_stored_classes():
            # One export serves every class map, and holds that of the weights.
            num_classes, exported = None, replace(self, class_map="")
        return BackendRequest(
            variant=self.variant,
            weights=weights,
            num_classes=num_classes,
            input_size=self.input_size,
            precision=self.precision,
            device=self.device,
            runtime=self.runtime,
            provider=self.provider,
            load=self.load_model,
            export=exported.export_apart,
        )

    def export_apart(self, folder: Path, precision: str) -> None:
        """Write the network's ONNX graphs to an empty folder, in another process.

        The exporter needs hundreds of MB and keeps the interpreter busy, which would delay the
        frames of this process. Its priority is normal: with a lower one, a node on a busy robot
        would not start for many minutes.

        Raises:
            MissingPackageError: a package for the export is missing.
            WeightsError: the network cannot be exported.
        """
        from tdnet._util.child_process import run_python
        from tdnet.backends.onnx.export import check_packages

        check_packages(f"runtime {ONNXRUNTIME} with a weights file")
        done = run_python(_EXPORT, json.dumps([asdict(self), str(folder), precision]))
        if done.returncode != 0:
            lines = done.stderr.decode(errors="replace").splitlines()
            reason = lines[-1] if lines else f"the exporter ended with {done.returncode}"
            raise WeightsError(f"{self.weights_path} cannot be exported: {reason}")
        for line in done.stderr.decode(errors="replace").splitlines():
            if line.startswith("warning: "):
                logger.warning(line.removeprefix("warning: "))

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
        path = self.weights or packaged_weights(self._without_weights)
        if not path:
            raise WeightsError(
                f"no weights given, and none are packaged for {self.variant}: set `weights` to a "
                "checkpoint of that variant"
            )
        return Path(path)

    def read_class_map(self) -> ClassMap:
        """Return the classes of the labels, without PyTorch and without loading the network.

        Raises:
            WeightsError: there is no weights file, or it cannot be read.
            ClassMapError: the class map cannot be used.
        """
        if self.class_map:
            return ClassMap.load(self.class_map)
        return stored_class_map(self.weights_path) or ClassMap.load(DEFAULT_CLASS_MAP)

    def open_checkpoint(self) -> Checkpoint:
        """Read the weights file.

        Raises:
            UnknownNameError: no variant has that name.
            WeightsError: there is no weights file, or it cannot be used.
        """
        from tdnet.checkpoints.checkpoint import Checkpoint

        self._check_variant()
        path = self.weights_path
        if path.is_dir():
            raise WeightsError(
                f"{path} is a folder: give a weights file, or for exported graphs set runtime to "
                f"{ONNXRUNTIME}"
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
        from tdnet.checkpoints.variant_match import recorded_variant, unsupported_name
        from tdnet.checkpoints.weights import load_weights
        from tdnet.network import create_model
        from tdnet.network.layers import SkipInitialisation

        checkpoint = checkpoint or self.open_checkpoint()
        name = self.variant if self.variant != AUTO else recorded_variant(checkpoint)
        if name is None and (other := unsupported_name(checkpoint)):
            raise WeightsError(f"{checkpoint.path} holds {other}")
        variant = get_variant(name or DEFAULT_VARIANT)
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

    def _num_stored_classes(self) -> int | None:
        """Return K of the weights without the user's class map; None: they cannot be read."""
        try:
            return replace(self, class_map="").read_class_map().num_network_classes
        except (ClassMapError, WeightsError):
            return None  # reported when the weights are loaded

    @property
    def _without_weights(self) -> str:
        """Name of the network if no weights are given."""
        return DEFAULT_VARIANT if self.variant == AUTO else self.variant

    def _check_variant(self) -> None:
        get_variant(self._without_weights)
