"""The parameters of the node: one table of names, defaults, allowed values and descriptions.

The fields of `NodeSettings` and of its groups (`parameter_groups.py`) are the rows, in the order
of `config/segment.yaml`. What ROS shows and checks, the launch arguments, `config/segment.yaml`
and the table of docs/parameters.md derive from them; `python -m tools.parameter_files` writes the
two files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tdnet.backends import AUTO, PROVIDERS, RUNTIMES
from tdnet.class_map.model import ClassMap
from tdnet.continuity import DEFAULT_MAX_GAP
from tdnet.settings import SegmenterSettings
from tdnet.variants import DEFAULT_VARIANT, MAX_SIDE, MIN_SIDE, get_variant, list_variants
from tdnet_ros.parameter_groups import (
    MINIMUMS,
    CaptureSettings,
    DiagnosticLimits,
    OverlaySettings,
    PointsSettings,
)
from tdnet_ros.parameter_values import (
    MAX_CAMERAS,
    MAX_OUTPUT_SIDE,
    Change,
    ParameterError,
    ParameterSpec,
    Value,
    group,
    parse_cameras,
    parse_device,
    parse_input_size,
    parse_output_size,
    parse_topic,
    row,
)

if TYPE_CHECKING:
    from tdnet.frames.postprocess import OutputSize  # loads PyTorch, which a launch file must not

T = TypeVar("T")

_model = partial(ParameterSpec, change=Change.NEW_MODEL)


@dataclass(frozen=True)
class NodeSettings:
    """The value of every parameter."""

    segmenter: SegmenterSettings = group(
        SegmenterSettings(),
        variant=_model(
            "Network that segments the images; auto: that of the weights, or without weights "
            f"{DEFAULT_VARIANT}.",
            choices=(AUTO, *list_variants()),
            parse=lambda name, value: value if value == AUTO else get_variant(value).name,
        ),
        weights=_model(
            "Weights file of the network, or folder of exported or adopted graphs; empty: the "
            "weights packaged with the variant.",
            constraint="path of a .safetensors file, a PyTorch checkpoint or an exported folder, "
            "or empty",
        ),
        class_map=_model(
            "Ids, names and colours of the classes; empty: the map stored with the weights.",
            constraint=f"{', '.join(ClassMap.packaged_names())}, the path of a YAML file, or "
            "empty",
        ),
        device=_model(
            "Device that runs the network; auto: the first GPU, or the CPU if there is none.",
            constraint="auto, cpu, cuda, cuda:N",
            parse=parse_device,
        ),
        precision=_model(
            "Number format of the network; auto: float16 on CUDA, bfloat16 on a CPU that computes "
            "it fast, else float32.",
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
            "Runtime of the network; auto: torch on a GPU, else onnxruntime if it is installed.",
            choices=RUNTIMES,
        ),
        provider=_model(
            "Execution provider of onnxruntime; auto: the best one that is installed and works.",
            choices=PROVIDERS,
        ),
    )
    image_transport: str = row(
        "raw",
        "Subscribe to image (raw) or to image/compressed (JPEG or PNG).",
        choices=("raw", "compressed"),
        per_camera=True,
        change=Change.CLEANUP,
    )
    cameras: tuple[str, ...] = row(
        (),
        "Names of the cameras, each with input NAME/image and outputs ~/NAME/...; empty: one "
        "camera with input image and outputs ~/...",
        constraint=f"at most {MAX_CAMERAS}; letters, digits and _, a letter first; no name twice",
        parse=parse_cameras,
        example=("front", "rear"),
        change=Change.CLEANUP,
    )
    max_rate: float = row(
        0.0,
        "Most frames a second of each camera that are segmented; 0: no limit.",
        range=(0.0, 1000.0),
        per_camera=True,
    )
    max_gap: float = row(
        DEFAULT_MAX_GAP,
        "Seconds between two segmented frames of a camera after which the memory is reset; 0: "
        "three times the usual gap, 1 to 10 s.",
        range=(0.0, 3600.0),
        name="memory.max_gap",
    )
    output_size: OutputSize = row(
        "camera",
        "Size of labels, confidence and overlay: the camera's, the network's, or height and width "
        "in pixels.",
        constraint=f"camera, network, or two numbers of 1 to {MAX_OUTPUT_SIDE} as an array or "
        "text 'h, w'",
        parse=parse_output_size,
        any_type=True,
        per_camera=True,
    )
    confidence_threshold: float = row(
        0.0, "Class probability below which a pixel becomes unlabelled (255).", range=(0.0, 1.0)
    )
    smoothing: float = row(
        0.0,
        "Share of the frame before, moved along with the picture, where a frame is unsure: "
        "steadier labels; 0: none.",
        range=(0.0, 1.0),
    )
    overlay: OverlaySettings = group(OverlaySettings(), prefix="overlay.")
    jpeg_quality: int = row(
        90, "JPEG quality of ~/overlay/compressed; higher is larger.", range=(1, 100)
    )
    png_level: int = row(
        1,
        "PNG compression of ~/labels/compressed and ~/confidence/compressed; higher is smaller "
        "and slower.",
        range=(0, 9),
    )
    enable: bool = row(
        True,
        "Segment the images; false: count and drop them. The service ~/enable sets it too.",
    )
    depth: str = row(
        "depth",
        "Topic of the depth image that is aligned with the camera's, for ~/points; of a named "
        "camera below its name.",
        constraint="a topic; with cameras one that does not begin with / or ~",
        parse=parse_topic,
    )
    points: PointsSettings = group(PointsSettings(), prefix="points.")
    idle_without_subscribers: bool = row(
        True, "Do not segment while no output of the camera has a subscriber."
    )
    diagnostics_period: float = row(
        1.0, "Seconds between two diagnostic messages.", range=(0.1, 60.0)
    )
    diagnostic_limits: DiagnosticLimits = group(DiagnosticLimits(), prefix="diagnostics.")
    capture: CaptureSettings = group(CaptureSettings(), prefix="capture.")
    autostart: bool = row(
        True,
        "Configure and activate when the node starts; false: a lifecycle manager does it.",
        change=Change.RESTART,
    )
    bond: bool = row(
        False,
        "Keep a bond with Nav2's lifecycle manager while the node is active; needs bondpy.",
        change=Change.CLEANUP,
    )

    own: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """The values that a camera has of its own, by camera and field."""

    def of_camera(self, camera: str) -> NodeSettings:
        """Return the settings of one camera: its own values in place of the common ones."""
        return replace(self, **cast(Any, self.own.get(camera, {})))

    @classmethod
    def from_values(cls, values: Mapping[str, Value]) -> NodeSettings:
        """Return the settings of these values; ROS has checked types and ranges.

        Raises:
            TdnetError: A value is not allowed.
        """
        settings = cls()
        for name, spec in PARAMETERS.items():
            settings = _with(settings, spec.path, spec.from_value(values[name]))
        own = {camera: _own_values(camera, values) for camera in settings.cameras}
        settings = replace(settings, own={name: each for name, each in own.items() if each})
        for name in PARAMETERS:
            if name.endswith("_error"):
                _check_limits(name.removesuffix("_error"), values)
        if settings.cameras and settings.depth[0] in "/~":
            raise ParameterError(
                f"depth is {settings.depth}, one topic for {len(settings.cameras)} cameras; "
                "allowed with cameras is a name below each, such as depth; remap it for each"
            )
        return settings


def _own_values(camera: str, values: Mapping[str, Value]) -> dict[str, object]:
    return {
        spec.path[-1]: spec.from_value(values[spec.name])
        for spec in camera_specs(camera)
        if values.get(spec.name, spec.default) != spec.default
    }


def _with(settings: T, path: Sequence[str], value: object) -> T:
    name, *rest = path
    inner = _with(getattr(settings, name), rest, value) if rest else value
    return cast(T, replace(cast(Any, settings), **{name: inner}))


def _check_limits(name: str, values: Mapping[str, Value]) -> None:
    warn, error = cast(float, values[f"{name}_warn"]), cast(float, values[f"{name}_error"])
    is_minimum = name.rpartition(".")[2] in MINIMUMS
    if warn and error and (error > warn if is_minimum else error < warn):
        raise ParameterError(
            f"{name}_warn is {warn} and {name}_error is {error}; allowed is an error at "
            f"{'most' if is_minimum else 'least'} as large as the warning, or 0, which disables "
            "one"
        )


def _specs(
    settings: object, prefix: str, path: tuple[str, ...], given: Mapping[str, ParameterSpec]
) -> Iterator[ParameterSpec]:
    for entry in fields(cast(Any, settings)):
        place, metadata = (*path, entry.name), entry.metadata
        if "prefix" in metadata:
            inner = getattr(settings, entry.name)
            yield from _specs(inner, prefix + metadata["prefix"], place, metadata["specs"])
        elif spec := given.get(entry.name) or metadata.get("spec"):
            spec = replace(spec, name=spec.name or prefix + entry.name, path=place)
            yield replace(spec, default=spec.to_value(_DEFAULTS))


_DEFAULTS = NodeSettings()
PARAMETERS = {spec.name: spec for spec in _specs(_DEFAULTS, "", (), {})}
"""The table, by name."""


def camera_specs(camera: str) -> list[ParameterSpec]:
    """Return the rows of the parameters that one of several cameras has of its own."""
    return [spec.of_camera(camera) for spec in PARAMETERS.values() if spec.per_camera]


def find_spec(name: str) -> ParameterSpec | None:
    """Return the row of a parameter of the node or of one of its cameras; None: there is none."""
    camera, _, common = name.rpartition(".")
    spec = PARAMETERS.get(common)
    return spec.of_camera(camera) if camera and spec and spec.per_camera else PARAMETERS.get(name)
