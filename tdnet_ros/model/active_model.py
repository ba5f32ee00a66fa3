"""The model that segments the frames, and its settings."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from tdnet.class_map.model import ClassMap
from tdnet.errors import quoted
from tdnet.frames.postprocess import OutputOptions
from tdnet.overlay.renderer import OverlayRenderer
from tdnet.segmenter import StreamingSegmenter
from tdnet.settings import SegmenterSettings
from tdnet_ros.parameter_values import ParameterError
from tdnet_ros.parameters import NodeSettings


@dataclass(frozen=True)
class ActiveModel:
    """A loaded model and the settings in force; replaced as a whole between two frames.

    Attributes:
        segmenter: the model.
        built_from: settings that the model was built from; differ from those in force while the
            CPU replaces a device that failed.
        renderer: draws the overlay with the model's classes.
        settings: of the node.
    """

    segmenter: StreamingSegmenter
    built_from: SegmenterSettings
    renderer: OverlayRenderer
    settings: NodeSettings

    @classmethod
    def create(
        cls, segmenter: StreamingSegmenter, built_from: SegmenterSettings, settings: NodeSettings
    ) -> ActiveModel:
        """Combine a model with the settings of the node.

        Raises:
            TdnetError: the settings name a class that the model's class map does not have.
        """
        class_map, overlay = segmenter.class_map, settings.overlay
        names = [entry.name for entry in class_map.classes]
        given = {
            "overlay.hidden_classes": overlay.hidden_classes,
            "points.classes": settings.points.classes,
            "capture.classes": settings.capture.classes,
        }
        for parameter, chosen in given.items():
            missing = [name for name in chosen if name not in names]
            if missing:
                raise ParameterError(
                    f"{parameter} names {quoted(missing[0])}, which the class map "
                    f"{class_map.name} does not have; allowed are {', '.join(names)}; with "
                    "another class map, set both in one request"
                )
        renderer = OverlayRenderer(
            class_map,
            alpha=overlay.alpha,
            legend=overlay.legend,
            hidden_classes=[class_map.class_by_name(name).id for name in overlay.hidden_classes],
            device=segmenter.device,
        )
        return cls(segmenter, built_from, renderer, settings)

    def adapted(self, settings: NodeSettings) -> ActiveModel:
        """Return the same model with other settings of the node; raise as `create` does."""
        before = self.settings
        checked = ("overlay", "points", "capture")
        if all(getattr(settings, name) == getattr(before, name) for name in checked):
            return replace(self, settings=settings)
        return ActiveModel.create(self.segmenter, self.built_from, settings)

    @property
    def is_fallback(self) -> bool:
        """Whether the CPU replaces the device of the settings."""
        return self.built_from != self.settings.segmenter

    def describe(self) -> str:
        """Return variant, input size, device and precision in words."""
        model = self.segmenter
        return (
            f"{model.variant.name} at {model.input_size[0]} x {model.input_size[1]} "
            f"on {model.device}, {model.precision}, {model.runtime}"
        )

    @property
    def classes(self) -> tuple[ClassMap, tuple[str, ...], float]:
        """What the latched class topics publish."""
        hidden = self.settings.overlay.hidden_classes
        return self.segmenter.class_map, hidden, self.settings.confidence_threshold

    @cached_property
    def kept_points(self) -> np.ndarray:
        """(256,) bool by label: those whose points are published."""
        chosen = self.settings.points.classes
        kept = np.full(256, not chosen)
        kept[[self.segmenter.class_map.class_by_name(name).id for name in chosen]] = True
        return kept

    def options(self, camera: str, images: Collection[str]) -> OutputOptions:
        """Return the options of a camera's frame with these images of `SegmentationResult`."""
        return OutputOptions(
            size=self.settings.of_camera(camera).output_size,
            confidence="confidence" in images or self.settings.capture.needs_confidence,
            confidence_threshold=self.settings.confidence_threshold,
            smoothing=self.settings.smoothing,
            overlay=self.renderer if "overlay" in images else None,
        )
