"""The parameters of the node: one table of names, defaults, allowed values and descriptions.

The fields of `NodeSettings` are the rows, in the order of `config/segment.yaml`. What ROS shows
and checks, the launch arguments, `config/segment.yaml` and the table of docs/parameters.md derive
from them; `python -m tools.parameter_files` writes the two files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tdnet.backends.onnx import RUNTIMES
from tdnet.class_map.model import ClassMap
from tdnet.continuity import DEFAULT_MAX_GAP
from tdnet.overlay import DEFAULT_ALPHA
from tdnet.settings import SegmenterSettings
from tdnet.variants import MAX_SIDE, MIN_SIDE, get_variant, list_variants
from tdnet_ros.parameter_values import (
    MAX_CAMERAS,
    MAX_OUTPUT_SIDE,
    Change,
    ParameterError,
    ParameterSpec,
    Value,
    parse_cameras,
    parse_device,
    parse_input_size,
    parse_output_size,
)

if TYPE_CHECKING:
    from tdnet.frames.postprocess import OutputSize  # loads PyTorch, which a launch file must not

T = TypeVar("T")


def _row(description: str, **options: Any) -> dict[str, object]:  # noqa: ANN401
    """Return the metadata of a field that is a parameter; see `ParameterSpec`."""
    return {"spec": ParameterSpec(description, **options)}


def _group(prefix: str, **specs: ParameterSpec) -> dict[str, object]:
    """Return the metadata of a field whose own fields are parameters.

    Args:
        prefix: Prefix of their names.
        specs: Rows of the fields that have none in their dataclass.
    """
    return {"prefix": prefix, "specs": specs}


@dataclass(frozen=True)
class Limits:
    """Two limits of one measured value; 0 disables one.

    Attributes:
        warn: Beyond it, the value is a warning.
        error: Beyond it, the value is an error.
        is_minimum: Values below the limits are beyond them, not values above.
    """

    warn: float = 0.0
    error: float = 0.0
    is_minimum: bool = False


def _limits(
    name: str, largest: float, text: str, note: str = "", kinds: Sequence[str] = ("warn", "error")
) -> dict[str, object]:
    """Return the group of ``diagnostics.NAME_warn`` and ``diagnostics.NAME_error``.

    Args:
        name: Name of the measured value.
        largest: Largest allowed limit.
        text: Description of a limit, up to what the diagnostic does.
        note: End of the description.
        kinds: Limits that are parameters.
    """
    effects = {"warn": "warns", "error": "is an error"}
    specs = {
        kind: ParameterSpec(
            f"{text} its diagnostic {effects[kind]}{note}; 0: never.", range=(0.0, largest)
        )
        for kind in kinds
    }
    return _group(f"{name}_", **specs)


@dataclass(frozen=True)
class DiagnosticLimits:
    """Limits of what is measured of a camera."""

    silence: Limits = field(
        default=Limits(3.0, 10.0),
        metadata=_limits("silence", 3600.0, "Seconds without a frame of the camera after which"),
    )
    age: Limits = field(
        default=Limits(0.5, 2.0),
        metadata=_limits(
            "age", 60.0, "Seconds from stamp to outputs of a camera (95th percentile) above which"
        ),
    )
    rate: Limits = field(
        default=Limits(is_minimum=True),
        metadata=_limits("rate", 1000.0, "Segmented frames a second of a camera below which"),
    )
    dropped: Limits = field(
        default=Limits(0.9),
        metadata=_limits(
            "dropped",
            1.0,
            "Share of a camera's frames dropped for newer ones above which",
            "; frames dropped by max_rate do not count",
        ),
    )
    lost: Limits = field(
        default=Limits(0.1),
        metadata=_limits(
            "lost",
            1.0,
            "Share of a camera's frames lost before they arrived above which",
            "; counted by the middleware or estimated from the stamps",
            kinds=("warn",),
        ),
    )


@dataclass(frozen=True)
class OverlaySettings:
    """How the overlay is drawn."""

    alpha: float = field(
        default=DEFAULT_ALPHA,
        metadata=_row("Opacity of the class colours; 0: camera image only.", range=(0.0, 1.0)),
    )
    legend: bool = field(
        default=True,
        metadata=_row("Draw the names of the classes present."),
    )
    hidden_classes: tuple[str, ...] = field(
        default=(),
        metadata=_row(
            "Classes that the overlay does not colour, besides those that the class map hides; "
            "labels keep them.",
            constraint="names of the class map",
            example=("sky",),
        ),
    )


_model = partial(ParameterSpec, change=Change.NEW_MODEL)


@dataclass(frozen=True)
class NodeSettings:
    """The value of every parameter."""

    segmenter: SegmenterSettings = field(
        default=SegmenterSettings(),
        metadata=_group(
            "",
            variant=_model(
                "Network that segments the images.",
                choices=list_variants(),
                parse=lambda name, value: get_variant(value).name,
            ),
            weights=_model(
                "Weights file of the network, or folder of exported graphs; empty: the weights "
                "packaged with the variant.",
                constraint="path of a .safetensors file, a PyTorch checkpoint or an exported "
                "folder, or empty",
            ),
            class_map=_model(
                "Ids, names and colours of the classes; empty: the map stored with the weights.",
                constraint=f"{', '.join(ClassMap.packaged_names())}, the path of a YAML "
                "file, or empty",
            ),
            device=_model(
                "Device that runs the network; auto: the first GPU, or the CPU if there is none.",
                constraint="auto, cpu, cuda, cuda:N",
                parse=parse_device,
            ),
            precision=_model(
                "Number format of the network; auto: float16 on CUDA, bfloat16 on a CPU with AMX, "
                "else float32.",
                choices=("auto", "float32", "bfloat16", "float16"),
            ),
            input_size=_model(
                "Height and width in pixels of the network's input; empty: those stored with the "
                "weights, or the variant's own.",
                constraint=f"empty, or two numbers of {MIN_SIDE} to {MAX_SIDE}",
                parse=parse_input_size,
                example=(769, 1537),
            ),
            runtime=_model(
                "Runtime of the network: torch, or a runtime for the exported graphs that weights "
                "names.",
                choices=RUNTIMES,
            ),
        ),
    )
    image_transport: str = field(
        default="raw",
        metadata=_row(
            "Subscribe to image (raw) or to image/compressed (JPEG or PNG).",
            choices=("raw", "compressed"),
            change=Change.CLEANUP,
        ),
    )
    cameras: tuple[str, ...] = field(
        default=(),
        metadata=_row(
            "Names of the cameras, each with input NAME/image and outputs ~/NAME/...; empty: one "
            "camera with input image and outputs ~/...",
            constraint=f"at most {MAX_CAMERAS}; letters, digits and _, a letter first; no name "
            "twice",
            parse=parse_cameras,
            example=("front", "rear"),
            change=Change.CLEANUP,
        ),
    )
    max_rate: float = field(
        default=0.0,
        metadata=_row(
            "Most frames a second of each camera that are segmented; 0: no limit.",
            range=(0.0, 1000.0),
        ),
    )
    max_gap: float = field(
        default=DEFAULT_MAX_GAP,
        metadata=_row(
            "Seconds between two segmented frames of a camera after which the memory is reset; "
            "0: three times the usual gap, 1 to 10 s.",
            range=(0.0, 3600.0),
            name="memory.max_gap",
        ),
    )
    output_size: OutputSize = field(
        default="camera",
        metadata=_row(
            "Size of labels, confidence and overlay: the camera's, the network's, or height and "
            "width in pixels.",
            constraint=f"camera, network, or two numbers of 1 to {MAX_OUTPUT_SIDE} as an array or "
            "text 'h, w'",
            parse=parse_output_size,
            any_type=True,
        ),
    )
    confidence_threshold: float = field(
        default=0.0,
        metadata=_row(
            "Class probability below which a pixel becomes unlabelled (255).", range=(0.0, 1.0)
        ),
    )
    overlay: OverlaySettings = field(
        default=OverlaySettings(),
        metadata=_group("overlay."),
    )
    idle_without_subscribers: bool = field(
        default=True,
        metadata=_row("Do not segment while no output of the camera has a subscriber."),
    )
    diagnostics_period: float = field(
        default=1.0,
        metadata=_row("Seconds between two diagnostic messages.", range=(0.1, 60.0)),
    )
    diagnostic_limits: DiagnosticLimits = field(
        default=DiagnosticLimits(),
        metadata=_group("diagnostics."),
    )
    autostart: bool = field(
        default=True,
        metadata=_row(
            "Configure and activate when the node starts; false: a lifecycle manager does it.",
            change=Change.RESTART,
        ),
    )

    def to_values(self) -> dict[str, Value]:
        """Return the value of every parameter by its name, as ROS carries it."""
        return {spec.name: spec.to_value(self) for spec in PARAMETERS}

    @classmethod
    def from_values(cls, values: Mapping[str, Value]) -> NodeSettings:
        """Return the settings of these values; ROS has checked types and ranges.

        Raises:
            TdnetError: A value is not allowed.
        """
        settings = cls()
        for spec in PARAMETERS:
            settings = _with(settings, spec.path, spec.from_value(values[spec.name]))
        for limit in fields(DiagnosticLimits):
            _check_limits(limit.name, getattr(settings.diagnostic_limits, limit.name))
        return settings


def _with(settings: T, path: Sequence[str], value: object) -> T:
    name, *rest = path
    inner = _with(getattr(settings, name), rest, value) if rest else value
    return cast(T, replace(cast(Any, settings), **{name: inner}))


def _check_limits(name: str, limits: Limits) -> None:
    first, second = limits.warn, limits.error
    if limits.is_minimum:
        first, second = second, first
    if first and second and first > second:
        raise ParameterError(
            f"diagnostics.{name}_warn is {limits.warn} and diagnostics.{name}_error is "
            f"{limits.error}; allowed is an error at {'most' if limits.is_minimum else 'least'} "
            "as large as the warning, or 0, which disables one"
        )


def _specs(
    group: object, prefix: str, path: tuple[str, ...], given: Mapping[str, ParameterSpec]
) -> Iterator[ParameterSpec]:
    for entry in fields(cast(Any, group)):
        place = (*path, entry.name)
        metadata = entry.metadata
        if "prefix" in metadata:
            inner = getattr(group, entry.name)
            yield from _specs(inner, prefix + metadata["prefix"], place, metadata["specs"])
        elif entry.name in given or "spec" in metadata:
            spec = given.get(entry.name) or metadata["spec"]
            spec = replace(spec, name=spec.name or prefix + entry.name, path=place)
            yield replace(spec, default=spec.to_value(_DEFAULTS))


_DEFAULTS = NodeSettings()
PARAMETERS = tuple(_specs(_DEFAULTS, "", (), {}))
BY_NAME = {spec.name: spec for spec in PARAMETERS}
