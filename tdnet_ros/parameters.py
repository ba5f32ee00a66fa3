"""The parameters of the node: what each is for, what it may be and when it may change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import cast

from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from tdnet.backends import RUNTIMES
from tdnet.class_map.model import ClassMap
from tdnet.frames.postprocess import MAX_OUTPUT_SIDE
from tdnet.network.base import MAX_SIDE, MIN_SIDE
from tdnet.variants import list_variants
from tdnet_ros.settings import (
    IMAGE_TRANSPORTS,
    MAX_CAMERAS,
    PRECISION_NAMES,
    NodeSettings,
    ParameterError,
    Value,
)


class Change(Enum):
    """When a parameter may be set."""

    ANY_TIME = auto()
    """Acts on the next frame."""
    NEW_MODEL = auto()
    """Loads another model, which takes over between two frames."""
    UNCONFIGURED = auto()
    """Before the node is configured."""
    AT_START = auto()
    """With the command or launch file that starts the node."""


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter; its default is that of `NodeSettings`.

    Attributes:
        name: of the parameter.
        description: what it does, with its unit.
        constraint: the allowed values in words, where they are no range.
        range: least and largest number, both allowed.
        kind: type of an array, which an empty default does not show.
        change: when it may be set.
    """

    name: str
    description: str
    constraint: str = ""
    range: tuple[float, float] | None = None
    kind: Parameter.Type | None = None
    change: Change = Change.ANY_TIME

    def descriptor(self) -> ParameterDescriptor:
        """Give the descriptor that ROS shows and checks."""
        descriptor = ParameterDescriptor(
            name=self.name,
            description=self.description,
            additional_constraints=self.constraint,
            read_only=self.change is Change.AT_START,
        )
        if self.range is not None:
            low, high = self.range
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        return descriptor

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        if self.range is None:
            return self.constraint
        low, high = self.range
        return f"{low:g} to {high:g}"


def _one_of(values: Iterable[str]) -> str:
    return f"one of: {', '.join(values)}"


_YES_NO = _one_of(("true", "false"))

PARAMETERS = (
    ParameterSpec(
        "variant",
        "Network that segments the images.",
        _one_of(list_variants()),
        change=Change.NEW_MODEL,
    ),
    ParameterSpec(
        "weights",
        "Weights file of the network, or folder of exported graphs; empty: the weights that come "
        "with the variant.",
        "path of a .safetensors file, a PyTorch checkpoint or an exported folder, or empty",
        change=Change.NEW_MODEL,
    ),
    ParameterSpec(
        "class_map",
        "Ids, names and colours of the classes; empty: the map stored with the weights.",
        f"{_one_of(ClassMap.packaged_names())}, the path of a YAML file, or empty",
        change=Change.NEW_MODEL,
    ),
    ParameterSpec(
        "device",
        "Where the network runs; auto: the first GPU, or the CPU where there is none.",
        _one_of(("auto", "cpu", "cuda", "cuda:N")),
        change=Change.NEW_MODEL,
    ),
    ParameterSpec(
        "precision",
        "Numbers the network computes with; auto: what is fast and safe on the device.",
        _one_of(PRECISION_NAMES),
        change=Change.NEW_MODEL,
    ),
    ParameterSpec(
        "input_size",
        "Height and width in pixels at which the network sees the image; empty: its own size.",
        f"empty, or two numbers of {MIN_SIDE} to {MAX_SIDE}",
        kind=Parameter.Type.INTEGER_ARRAY,
        change=Change.NEW_MODEL,
    ),
    ParameterSpec(
        "runtime",
        "What runs the network: PyTorch, or what runs the exported graphs that weights names.",
        _one_of(RUNTIMES),
        change=Change.NEW_MODEL,
    ),
    ParameterSpec(
        "output_size",
        "Size of labels, confidence and overlay: the camera's, the network's, or height and width "
        "in pixels.",
        f"camera, network, or two numbers of 1 to {MAX_OUTPUT_SIDE} as an array or text 'h, w'",
    ),
    ParameterSpec(
        "image_transport",
        "Subscribe to image (raw) or to image/compressed (JPEG or PNG).",
        _one_of(IMAGE_TRANSPORTS),
        change=Change.UNCONFIGURED,
    ),
    ParameterSpec(
        "cameras",
        "Names of the cameras, each with input NAME/image and outputs ~/NAME/...; empty: one "
        "camera with input image and outputs ~/...",
        f"at most {MAX_CAMERAS}; letters, digits and _, a letter first; no name twice",
        kind=Parameter.Type.STRING_ARRAY,
        change=Change.UNCONFIGURED,
    ),
    ParameterSpec(
        "overlay.alpha",
        "Opacity of the class colours in the overlay; 0: camera image only.",
        range=(0.0, 1.0),
    ),
    ParameterSpec("overlay.legend", "Name the classes present in the overlay.", _YES_NO),
    ParameterSpec(
        "overlay.hidden_classes",
        "Names of classes that the overlay does not colour; labels keep them.",
        "names of the class map",
        kind=Parameter.Type.STRING_ARRAY,
    ),
    ParameterSpec(
        "confidence_threshold",
        "Class probability below which a pixel becomes unlabelled (255).",
        range=(0.0, 1.0),
    ),
    ParameterSpec(
        "memory.max_gap",
        "Longest time in seconds between two segmented frames of one view; a longer one resets "
        "the memory; 0: automatic, 1 to 10 s, follows the rate of the segmented frames.",
        range=(0.0, 3600.0),
    ),
    ParameterSpec(
        "max_rate",
        "Most frames a second that are segmented of each camera; 0: no limit.",
        range=(0.0, 1000.0),
    ),
    ParameterSpec(
        "idle_without_subscribers",
        "Do not segment while nobody subscribes to an output of the camera.",
        _YES_NO,
    ),
    ParameterSpec(
        "diagnostics_period",
        "Seconds between two diagnostic messages.",
        range=(0.1, 60.0),
    ),
    ParameterSpec(
        "diagnostics.silence_warn",
        "Seconds without a frame of the camera after which its diagnostic warns; 0: never.",
        range=(0.0, 3600.0),
    ),
    ParameterSpec(
        "diagnostics.silence_error",
        "Seconds without a frame of the camera after which its diagnostic is an error; 0: never.",
        range=(0.0, 3600.0),
    ),
    ParameterSpec(
        "diagnostics.age_warn",
        "Seconds from a frame's stamp to its outputs (95th percentile of the last seconds) above "
        "which the diagnostic warns; 0: never.",
        range=(0.0, 60.0),
    ),
    ParameterSpec(
        "diagnostics.age_error",
        "Seconds from a frame's stamp to its outputs (95th percentile of the last seconds) above "
        "which the diagnostic is an error; 0: never.",
        range=(0.0, 60.0),
    ),
    ParameterSpec(
        "diagnostics.rate_warn",
        "Segmented frames a second of a camera below which its diagnostic warns; 0: never.",
        range=(0.0, 1000.0),
    ),
    ParameterSpec(
        "diagnostics.rate_error",
        "Segmented frames a second of a camera below which its diagnostic is an error; 0: never.",
        range=(0.0, 1000.0),
    ),
    ParameterSpec(
        "diagnostics.dropped_warn",
        "Share of a camera's frames dropped for newer ones above which its diagnostic warns; "
        "those that max_rate drops do not count; 0: never.",
        range=(0.0, 1.0),
    ),
    ParameterSpec(
        "diagnostics.dropped_error",
        "Share of a camera's frames dropped for newer ones above which its diagnostic is an "
        "error; those that max_rate drops do not count; 0: never.",
        range=(0.0, 1.0),
    ),
    ParameterSpec(
        "diagnostics.lost_warn",
        "Share of a camera's frames lost before they arrived, counted by the middleware or "
        "estimated by their stamps, above which its diagnostic warns; 0: never.",
        range=(0.0, 1.0),
    ),
    ParameterSpec(
        "autostart",
        "Configure and activate when the node starts; otherwise a lifecycle manager does it.",
        _YES_NO,
        change=Change.AT_START,
    ),
)
BY_NAME = {spec.name: spec for spec in PARAMETERS}
# Judged with the model that comes with them.
_WITH_MODEL = frozenset({"overlay.hidden_classes"})


def read(node: Node, changed: Iterable[Parameter] = ()) -> NodeSettings:
    """Give the settings of a node, as they would be with the changed parameters.

    Raises:
        TdnetError: a value is not allowed.
    """
    values = {name: cast(Value, node.get_parameter(name).value) for name in BY_NAME}
    values.update({p.name: cast(Value, p.value) for p in changed if p.name in BY_NAME})
    return NodeSettings.from_values(values)


def check_change_allowed(node: Node, changed: Iterable[Parameter], *, configured: bool) -> None:
    """Refuse parameters that may not be set now.

    Raises:
        ParameterError: the node is configured, and a parameter must be set before that.
    """
    late = [
        p.name
        for p in changed
        if configured
        and p.name in BY_NAME
        and BY_NAME[p.name].change is Change.UNCONFIGURED
        and p.value != node.get_parameter(p.name).value
    ]
    if late:
        raise ParameterError(
            f"{', '.join(late)} cannot change while the node is configured; deactivate and clean "
            "up the node, set it, then configure and activate again"
        )


def needs_new_model(names: Iterable[str]) -> bool:
    """Say whether parameters of these names are among those that choose the model."""
    return any(name in BY_NAME and BY_NAME[name].change is Change.NEW_MODEL for name in names)


def set_together(names: Sequence[str]) -> list[list[int]]:
    """Group the parameters of one request that are set together: indices of their names.

    Those that choose the model fit each other only together, and the hidden classes fit the
    model's class map. The two limits of one value are checked against each other. Every other
    parameter is a group of its own.
    """
    model: list[int] = []
    others: dict[str, list[int]] = {}
    new_model = needs_new_model(names)
    for index, name in enumerate(names):
        if needs_new_model([name]) or (new_model and name in _WITH_MODEL):
            model.append(index)
        else:
            limited = name.removesuffix("_warn").removesuffix("_error")
            others.setdefault(limited, []).append(index)
    return [model, *others.values()] if model else list(others.values())


def are_ours(changed: Iterable[Parameter]) -> bool:
    """Say whether some of the parameters are those of `PARAMETERS`."""
    return any(parameter.name in BY_NAME for parameter in changed)
