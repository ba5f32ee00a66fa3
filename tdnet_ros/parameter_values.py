"""One row of the table of parameters, and the parsers of its values."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tdnet.errors import TdnetError, one_line, quoted
from tdnet.frames import image_files
from tdnet.variants import MAX_PIXELS, MAX_SIDE, MIN_SIDE

if TYPE_CHECKING:
    from tdnet.frames.postprocess import OutputSize  # loads PyTorch, which a launch file must not

T = TypeVar("T")
Value = bool | int | float | str | list[int] | list[str]

# Each has nine topics and a memory on the device.
MAX_CAMERAS = 16
# That of a DDS topic, with a namespace before it.
MAX_TOPIC = 200
MAX_OUTPUT_SIDE = image_files.MAX_SIDE
_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,3})?")
_TOPIC = re.compile(r"(~?/)?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")
_CAMERA = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_MAX_SIZE_TEXT = 64


class ParameterError(TdnetError, ValueError):
    """A parameter whose value cannot be used."""


class Change(Enum):
    """What a new value needs; the values are shown in docs/parameters.md."""

    NEXT_FRAME = "nothing"
    NEW_MODEL = "another model"
    CLEANUP = "cleanup"
    RESTART = "restart"


@dataclass(frozen=True)
class ParameterSpec:
    """One row of the table.

    Attributes:
        description: Purpose of the parameter, with its unit.
        choices: Allowed texts.
        range: Least and largest number, both allowed.
        constraint: Allowed values in words, where they are neither choices nor a range.
        parse: Converts name and value to the value of the field; raises TdnetError.
        example: Value of an array that is empty by default; shows the type of its elements.
        any_type: Text or an array; ROS does not check the type.
        per_camera: Each of several cameras can have a value of its own.
        change: What a new value needs.
        name: Name of the parameter; empty: that of the field, with the prefix of its group.
        default: Default as ROS carries it.
        path: Names of the fields that lead from the node's settings to the value.
    """

    description: str
    choices: Sequence[str] = ()
    range: tuple[float, float] | None = None
    constraint: str = ""
    parse: Callable[[str, Any], object] | None = None
    example: tuple[int | str, ...] = ()
    any_type: bool = False
    per_camera: bool = False
    change: Change = Change.NEXT_FRAME
    name: str = ""
    default: Value = ""
    path: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """Allowed values in words."""
        if self.range is not None:
            return "{:g} to {:g}".format(*self.range)
        choices = ("true", "false") if isinstance(self.default, bool) else self.choices
        return ", ".join(choice or "empty" for choice in choices) or self.constraint

    def of_camera(self, camera: str) -> ParameterSpec:
        """Return the row of the parameter of one camera; its default stands for the common value.

        Only for parameters with `per_camera`.
        """
        unset: Value = "" if self.range is None else -1.0
        return replace(
            self,
            description=f"{self.name} of camera {camera}; {unset or 'empty'}: as {self.name}.",
            choices=("", *self.choices) if self.choices else (),
            range=self.range and (-1.0, self.range[1]),
            constraint=f"empty, {self.constraint}",
            name=f"{camera}.{self.name}",
            default=unset,
        )

    def to_value(self, settings: object) -> Value:
        """Return the value in the settings of a node, as ROS carries it."""
        value: Any = settings
        for name in self.path:
            value = getattr(value, name)
        if self.example:
            return list(value or ())
        return ", ".join(map(str, value)) if isinstance(value, tuple) else cast(Value, value)

    def from_value(self, value: Value) -> object:
        """Return the value of the field; ROS has checked type and range.

        Raises:
            TdnetError: The value is not allowed.
        """
        if self.parse is not None:
            return self.parse(self.name, value)
        if self.range is not None and self.range[0] < cast(float, value) < 0:
            raise ParameterError(
                f"{self.name} is {value:g}; allowed: 0 to {self.range[1]:g}, or "
                f"{self.range[0]:g}: as {self.path[-1]}"
            )
        if self.choices and value not in self.choices:
            raise ParameterError(f"{self.name} is {quoted(str(value))}; allowed: {self.allowed}")
        return tuple(cast(Sequence[str], value)) if self.example else value

    def from_text(self, text: str) -> Value:
        """Return a value that is given as text, as ROS carries it; a launch argument, for example.

        Raises:
            TdnetError: The value is not allowed. The node checks ranges.
        """
        value: Value = text
        try:
            if isinstance(self.default, bool):
                value = bool(("false", "true").index(text))
            elif isinstance(self.default, float):
                value = float(text)
            elif self.any_type:
                value = text.strip(" []")
            elif self.example:
                words = text.strip(" []").replace(",", " ").split()
                value = cast(Value, [type(self.example[0])(word) for word in words])
        except ValueError:
            raise ParameterError(
                f"{self.name} is {quoted(text)}; allowed: {self.allowed}"
            ) from None
        self.from_value(value)
        return value


def row(default: T, description: str, **options: Any) -> T:  # noqa: ANN401
    """Return a field that is a parameter; the options are those of `ParameterSpec`."""
    return field(default=default, metadata={"spec": ParameterSpec(description, **options)})


def group(default: T, prefix: str = "", **specs: ParameterSpec) -> T:
    """Return a field whose own fields are parameters; specs: rows that these fields lack."""
    return field(default=default, metadata={"prefix": prefix, "specs": specs})


def parse_device(name: str, value: str) -> str:
    """Return a device's name."""
    if not _DEVICE.fullmatch(value):
        raise ParameterError(f"{name} is {quoted(value)}; allowed: auto, cpu, cuda, cuda:N")
    return value


def parse_topic(name: str, value: str) -> str:
    """Return the name of a topic."""
    if len(value) > MAX_TOPIC or not _TOPIC.fullmatch(value):
        raise ParameterError(
            f"{name} is {quoted(value)}; allowed is a topic: letters, digits and _ between "
            f"slashes, no digit first, {MAX_TOPIC} characters"
        )
    return value


def parse_input_size(name: str, value: Sequence[int]) -> tuple[int, int] | None:
    """Return height and width of the network's input; None for the size of the weights."""
    others = "empty (the variant's own size)"
    return _size(name, value, value, others, (MIN_SIDE, MAX_SIDE, MAX_PIXELS)) if value else None


def parse_output_size(name: str, value: object) -> OutputSize:
    """Return the size of the outputs, given as text or two numbers."""
    if value == "camera":
        return "camera"
    if value == "network":
        return "network"
    sides: object = value
    if isinstance(value, str):
        words = [word.strip() for word in value[:_MAX_SIZE_TEXT].split(",")]
        sides = [int(word) for word in words] if all(map(str.isdecimal, words)) else []
    limits = (1, MAX_OUTPUT_SIDE, image_files.MAX_PIXELS)
    return _size(name, value, sides, "camera, network", limits)


def _size(
    name: str, value: object, sides: object, others: str, limits: tuple[int, int, int]
) -> tuple[int, int]:
    low, high, pixels = limits
    numbers = list(sides) if isinstance(sides, (list, tuple, array)) else []
    if (
        len(numbers) != 2
        or not all(type(n) is int and low <= n <= high for n in numbers)
        or numbers[0] * numbers[1] > pixels
    ):
        shown = list(value) if isinstance(value, array) else value
        raise ParameterError(
            f"{name} is {one_line(repr(shown), _MAX_SIZE_TEXT)}; allowed: {others}, or height "
            f"and width, each {low} to {high}, and {pixels >> 20} megapixels"
        )
    return numbers[0], numbers[1]


def parse_cameras(name: str, value: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the cameras, which are parts of topics."""
    if len(value) > MAX_CAMERAS:
        raise ParameterError(f"{name} has {len(value)} names; allowed: {MAX_CAMERAS}")
    for camera in value:
        if not _CAMERA.fullmatch(camera):
            raise ParameterError(
                f"{name} has the name {quoted(camera)}; allowed: 1 to 64 letters, digits and _, "
                "a letter first"
            )
    if len(set(value)) != len(value):
        raise ParameterError(f"{name} has a name twice: {', '.join(value)}")
    return tuple(value)


def parse_camera_topics(text: str) -> dict[str, str]:
    """Return the image topic of each camera, given as 'front=/front/image_raw rear'.

    A camera without a topic has NAME/image.

    Raises:
        ParameterError: A name is not allowed.
    """
    given = [entry.partition("=") for entry in text.replace(",", " ").split()]
    parse_cameras("cameras", [name for name, _, _ in given])
    return {name: topic or f"{name}/image" for name, _, topic in given}
