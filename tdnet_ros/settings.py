"""What the parameters of the node say, as typed values; the one home of their defaults."""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from tdnet._util.device import PRECISIONS
from tdnet.backends import RUNTIMES
from tdnet.continuity import DEFAULT_MAX_GAP
from tdnet.errors import TdnetError, one_line, quoted
from tdnet.frames import image_files
from tdnet.frames.postprocess import MAX_OUTPUT_SIDE, OutputSize
from tdnet.network.base import MAX_PIXELS, MAX_SIDE, MIN_SIDE
from tdnet.settings import SegmenterSettings
from tdnet.variants import get_variant
from tdnet_ros.limits import DiagnosticLimits, Limits

Value = bool | int | float | str | list[int] | list[str]

PRECISION_NAMES = ("auto", *PRECISIONS)
IMAGE_TRANSPORTS = ("raw", "compressed")
# Each has seven topics and a memory on the device.
MAX_CAMERAS = 16

_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,3})?")
_CAMERA = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_MAX_SIZE_TEXT = 64


class ParameterError(TdnetError, ValueError):
    """A parameter whose value cannot be used."""


@dataclass(frozen=True)
class OverlaySettings:
    """How the overlay is drawn.

    Attributes:
        alpha: opacity of the class colours, 0 to 1.
        legend: name the classes present.
        hidden_classes: names of the classes that leave the camera image as it is.
    """

    alpha: float = 0.5
    legend: bool = True
    hidden_classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class NodeSettings:
    """Every parameter of the node; the names of the parameters are in `parameters.py`.

    Attributes:
        segmenter: the model; a change needs another one to be built.
        output_size: of labels, confidence and overlay: the camera's, the network's, or (H, W).
        image_transport: whether `image` or `image/compressed` is subscribed to.
        cameras: names of the cameras; none: one camera without a name.
        overlay: how the overlay is drawn.
        confidence_threshold: class probability below which a pixel is unlabelled, 0 to 1.
        max_gap: longest time between two frames of one view, seconds; 0: follows the rate.
        max_rate: frames a second that a camera may have segmented; 0: no limit.
        idle_without_subscribers: do not segment while nobody subscribes to an output.
        diagnostics_period: seconds between two diagnostic messages.
        diagnostic_limits: beyond which the diagnostics warn.
        autostart: configure and activate when the node starts.
    """

    segmenter: SegmenterSettings = field(default_factory=SegmenterSettings)
    output_size: OutputSize = "camera"
    image_transport: str = "raw"
    cameras: tuple[str, ...] = ()
    overlay: OverlaySettings = field(default_factory=OverlaySettings)
    confidence_threshold: float = 0.0
    max_gap: float = DEFAULT_MAX_GAP
    max_rate: float = 0.0
    idle_without_subscribers: bool = True
    diagnostics_period: float = 1.0
    diagnostic_limits: DiagnosticLimits = field(default_factory=DiagnosticLimits)
    autostart: bool = True

    def to_values(self) -> dict[str, Value]:
        """Give the value of every parameter by its name, as ROS carries it."""
        model, size = self.segmenter, self.output_size
        return {
            "variant": model.variant,
            "weights": model.weights,
            "class_map": model.class_map,
            "device": model.device,
            "precision": model.precision,
            "input_size": list(model.input_size or ()),
            "runtime": model.runtime,
            "output_size": size if isinstance(size, str) else f"{size[0]}, {size[1]}",
            "image_transport": self.image_transport,
            "cameras": list(self.cameras),
            "overlay.alpha": self.overlay.alpha,
            "overlay.legend": self.overlay.legend,
            "overlay.hidden_classes": list(self.overlay.hidden_classes),
            "confidence_threshold": self.confidence_threshold,
            "memory.max_gap": self.max_gap,
            "max_rate": self.max_rate,
            "idle_without_subscribers": self.idle_without_subscribers,
            "diagnostics_period": self.diagnostics_period,
            **_limit_values(self.diagnostic_limits),
            "autostart": self.autostart,
        }

    @classmethod
    def from_values(cls, values: Mapping[str, Value]) -> NodeSettings:
        """Check the values of all parameters and give them as settings.

        Types and ranges are taken for granted: their descriptors have ROS check them.

        Raises:
            ParameterError: a value is not among those allowed.
            UnknownNameError: there is no such variant.
        """
        text = cast(Mapping[str, str], values)
        number = cast(Mapping[str, float], values)
        flag = cast(Mapping[str, bool], values)
        names = cast(Mapping[str, Sequence[str]], values)
        device = text["device"]
        if not _DEVICE.fullmatch(device):
            raise ParameterError(
                f"device is {quoted(device)}; allowed are auto, cpu, cuda and cuda:N"
            )
        return cls(
            segmenter=SegmenterSettings(
                variant=get_variant(text["variant"]).name,
                weights=text["weights"],
                class_map=text["class_map"],
                device=device,
                precision=_choice("precision", text["precision"], PRECISION_NAMES),
                input_size=_input_size(cast(Sequence[int], values["input_size"])),
                runtime=_choice("runtime", text["runtime"], RUNTIMES),
            ),
            output_size=_output_size(values["output_size"]),
            image_transport=_choice("image_transport", text["image_transport"], IMAGE_TRANSPORTS),
            cameras=_cameras(names["cameras"]),
            overlay=OverlaySettings(
                alpha=number["overlay.alpha"],
                legend=flag["overlay.legend"],
                hidden_classes=tuple(names["overlay.hidden_classes"]),
            ),
            confidence_threshold=number["confidence_threshold"],
            max_gap=number["memory.max_gap"],
            max_rate=number["max_rate"],
            idle_without_subscribers=flag["idle_without_subscribers"],
            diagnostics_period=number["diagnostics_period"],
            diagnostic_limits=DiagnosticLimits(
                silence=_limits(number, "silence"),
                age=_limits(number, "age"),
                rate=_limits(number, "rate", low=True),
                dropped=_limits(number, "dropped"),
                lost=Limits(number["diagnostics.lost_warn"]),
            ),
            autostart=flag["autostart"],
        )


def _limit_values(limits: DiagnosticLimits) -> dict[str, Value]:
    pairs = {
        "silence": limits.silence,
        "age": limits.age,
        "rate": limits.rate,
        "dropped": limits.dropped,
    }
    values: dict[str, Value] = {}
    for name, pair in pairs.items():
        values[f"diagnostics.{name}_warn"] = pair.warn
        values[f"diagnostics.{name}_error"] = pair.error
    return {**values, "diagnostics.lost_warn": limits.lost.warn}


def _limits(number: Mapping[str, float], name: str, *, low: bool = False) -> Limits:
    warn, error = f"diagnostics.{name}_warn", f"diagnostics.{name}_error"
    limits = Limits(number[warn], number[error])
    first, second = (limits.error, limits.warn) if low else (limits.warn, limits.error)
    if limits.warn and limits.error and first > second:
        raise ParameterError(
            f"{warn} is {limits.warn} and {error} is {limits.error}; allowed is an error at "
            f"{'most' if low else 'least'} as large as the warning, or 0, which turns one off"
        )
    return limits


def _choice(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ParameterError(f"{name} is {quoted(value)}; allowed are {', '.join(allowed)}")
    return value


def _input_size(value: Sequence[int]) -> tuple[int, int] | None:
    others = "empty (the variant's own size)"
    limits = (MIN_SIDE, MAX_SIDE, MAX_PIXELS)
    return _size("input_size", value, others, limits) if value else None


def _output_size(value: object) -> OutputSize:
    if value == "camera":
        return "camera"
    if value == "network":
        return "network"
    sides: object = value
    if isinstance(value, str):
        words = [word.strip() for word in value[:_MAX_SIZE_TEXT].split(",")]
        sides = [int(word) for word in words] if all(map(str.isdecimal, words)) else []
    limits = (1, MAX_OUTPUT_SIDE, image_files.MAX_PIXELS)
    return _size("output_size", sides, "camera, network", limits, given=value)


def _size(
    name: str, sides: object, others: str, limits: tuple[int, int, int], given: object = None
) -> tuple[int, int]:
    low, high, pixels = limits
    numbers = list(sides) if isinstance(sides, (list, tuple, array)) else []
    if (
        len(numbers) != 2
        or not all(type(n) is int and low <= n <= high for n in numbers)
        or numbers[0] * numbers[1] > pixels
    ):
        shown = sides if given is None else given
        shown = list(shown) if isinstance(shown, array) else shown
        raise ParameterError(
            f"{name} is {one_line(repr(shown), _MAX_SIZE_TEXT)}; allowed are {others}, or height "
            f"and width, each {low} to {high}, and {pixels >> 20} megapixels"
        )
    return numbers[0], numbers[1]


def _cameras(value: Sequence[str]) -> tuple[str, ...]:
    if len(value) > MAX_CAMERAS:
        raise ParameterError(f"cameras has {len(value)} names; allowed are {MAX_CAMERAS}")
    for name in value:
        if not _CAMERA.fullmatch(name):
            raise ParameterError(
                f"cameras has the name {quoted(name)}; allowed are 1 to 64 letters, digits and _, "
                "a letter first"
            )
    if len(set(value)) != len(value):
        raise ParameterError(f"cameras names one twice: {', '.join(value)}")
    return tuple(value)
