"""TDNet: fast video semantic segmentation with temporally distributed networks.

The networks and their streaming inference, without ROS and without datasets. The names below
are imported when they are first used, so that `import tdnet` does not wait for PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from tdnet.version import __version__

if TYPE_CHECKING:
    from tdnet._util.resources import packaged_weights
    from tdnet.checkpoints.weights import describe_weights, load_weights, save_weights
    from tdnet.class_map.model import ClassMap
    from tdnet.continuity import ContinuityPolicy, FrameInfo, ResetReason
    from tdnet.errors import TdnetError
    from tdnet.frames.postprocess import OutputOptions
    from tdnet.network import create_model
    from tdnet.overlay.renderer import OverlayRenderer
    from tdnet.segmenter import SegmentationResult, Stream, StreamingSegmenter
    from tdnet.settings import SegmenterSettings
    from tdnet.variants import get_variant, list_variants

_HOMES = {
    "ClassMap": "class_map.model",
    "ContinuityPolicy": "continuity",
    "FrameInfo": "continuity",
    "OutputOptions": "frames.postprocess",
    "OverlayRenderer": "overlay.renderer",
    "ResetReason": "continuity",
    "SegmentationResult": "segmenter",
    "SegmenterSettings": "settings",
    "Stream": "segmenter",
    "StreamingSegmenter": "segmenter",
    "TdnetError": "errors",
    "create_model": "network",
    "describe_weights": "checkpoints.weights",
    "get_variant": "variants",
    "list_variants": "variants",
    "load_weights": "checkpoints.weights",
    "packaged_weights": "_util.resources",
    "save_weights": "checkpoints.weights",
}

__all__ = [
    "ClassMap",
    "ContinuityPolicy",
    "FrameInfo",
    "OutputOptions",
    "OverlayRenderer",
    "ResetReason",
    "SegmentationResult",
    "SegmenterSettings",
    "Stream",
    "StreamingSegmenter",
    "TdnetError",
    "__version__",
    "create_model",
    "describe_weights",
    "get_variant",
    "list_variants",
    "load_weights",
    "packaged_weights",
    "save_weights",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
