"""The layout of a folder of frames and labels: patterns of the paths, and values of the labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt

from tdnet._util.documents import load_document, nearest
from tdnet._util.records import Range, Stored, read_record
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet_offline.datasets.picture_files import ids_by_table, ids_of_colours, read_label_picture
from tdnet_offline.datasets.video import IGNORED, naming
from tdnet_offline.frames.image_files import IMAGE_SUFFIXES

LAYOUT = "layout.yaml"
MAX_BYTES = 256 * 1024
_PLACEHOLDERS = ("split", "video", "name")
_COLOUR = re.compile(r"#([0-9a-fA-F]{6})")

Value = int | tuple[int, int, int]
"""A grey value or palette index, or an RGB colour."""


def _value(text: int | str) -> Value:
    if isinstance(text, int):
        if 0 <= text <= 255:
            return text
    elif match := _COLOUR.fullmatch(text):
        red, green, blue = bytes.fromhex(match[1])
        return red, green, blue
    raise ValueError(f"got {text!r}; allowed 0 to 255, or a colour such as '#804080', in quotes")


def _is_inside(path: str) -> bool:
    return bool(path) and not path.startswith("/") and ".." not in path.split("/")


def _folder(text: str) -> str:
    if not _is_inside(text) or "{" in text:
        raise ValueError(f"got {text!r}; allowed a path below the folder, without braces")
    return text


def _pattern(text: str) -> str:
    names = re.findall(r"\{(.*?)\}", text)
    strange = [name for name in names if name not in _PLACEHOLDERS]
    if strange or "name" not in names or not _is_inside(text):
        raise ValueError(
            f"got {text!r}; allowed a path below the folder with {{name}}, and with {{video}} and "
            "{split} where needed"
        )
    return text


_Pattern = Annotated[str, Stored(str, _pattern, str)]
_Folder = Annotated[str, Stored(str, _folder, str)]
_Values = tuple[Annotated[Any, Stored(int | str, _value, str)], ...]


@dataclass(frozen=True)
class FolderLayout:
    """What ``layout.yaml`` says; docs/datasets.md describes the keys.

    Attributes:
        frames: pattern of the images' paths, with ``{split}``, ``{video}``, ``{name}`` and ``*``.
        labels: the same of the labels.
        splits: folder name by split, where it differs.
        frame_rate: frames a second; None: unknown.
        first_class: value of class id 0 in label files; smaller values are ignored.
        values: further values of classes, by name.
        ignored: values of pixels without a class, beside 255 and black.
        stray_colours: share of the pixels of a file that may have colours of no class.
    """

    frames: _Pattern = "frames/{video}/{name}.*"
    labels: _Pattern = "labels/{video}/{name}.*"
    splits: Mapping[str, _Folder] = field(default_factory=dict)
    frame_rate: Annotated[float | None, Range(0.01, 1000)] = None
    first_class: Annotated[int, Range(0, 254)] = 0
    values: Mapping[str, _Values] = field(default_factory=dict)
    ignored: _Values = ()
    stray_colours: Annotated[float, Range(0, 1)] = 0.0

    @classmethod
    def load(cls, folder: Path) -> FolderLayout:
        """Read ``layout.yaml`` of a folder; without the file the default layout.

        Raises:
            InputError: it is not valid; names file, line and field.
        """
        path = folder / LAYOUT
        if not path.exists():
            return cls()
        document = load_document(path, MAX_BYTES)
        layout = read_record(cls, document)
        used = ["{video}" in pattern for pattern in (layout.frames, layout.labels)]
        if used[0] != used[1]:
            raise document.error(("labels",), "give {video} in frames and labels, or in neither")
        return layout

    def files(
        self, folder: Path, kind: Literal["frames", "labels"], split: str
    ) -> dict[tuple[str, str], Path]:
        """Return the image files that match a pattern, by video and name.

        Without ``{video}`` each file is a video of its own.

        Raises:
            InputError: two files are the same frame.
        """
        pattern = getattr(self, kind)
        pattern = pattern.replace("{split}", self.splits.get(split, split))
        parts = re.split(r"(\{\w+\}|\*)", pattern)
        seen: set[str] = set()
        expression = "".join(_expression(part, seen) for part in parts)
        found: dict[tuple[str, str], Path] = {}
        # pathlib allows ** as a whole name only.
        pattern = re.sub(r"\*+", "*", "".join(_glob(part) for part in parts))
        for path in folder.glob(pattern):
            match = re.fullmatch(expression, path.relative_to(folder).as_posix())
            if match is None or path.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            if any(part.startswith(".") for part in path.relative_to(folder).parts):
                continue
            key = match.groupdict().get("video", match["name"]), match["name"]
            other = found.setdefault(key, path)
            if other != path:
                raise InputError(f"{other} and {path} are {kind} of the same name; rename one")
        return found


def _expression(part: str, seen: set[str]) -> str:
    name = part[1:-1]
    if not part.startswith("{"):
        return "[^/]*" if part == "*" else re.escape(part)
    again = name in seen
    seen.add(name)
    return f"(?P={name})" if again else f"(?P<{name}>[^/]+)"


def _glob(part: str) -> str:
    return "*" if part.startswith("{") else re.sub(r"([\[?])", r"[\1]", part)


class OwnLabels:
    """Reads label PNGs of values, or of colours, as a layout assigns them to classes.

    Args:
        class_map: meaning of the labels.
        layout: values and colours beside those of the class map.

    Raises:
        InputError: the layout names a class that the class map does not have.
    """

    def __init__(self, class_map: ClassMap, layout: FolderLayout) -> None:
        self.class_map = class_map
        ids = {entry.name: entry.id for entry in class_map.classes}
        strange = sorted(set(layout.values) - set(ids))
        if strange:
            raise InputError(
                f"{LAYOUT}: values: no class {strange[0]!r} in class map {class_map.name}; "
                f"allowed {', '.join(ids)}{nearest(strange[0], ids)}"
            )
        self._own: dict[Value, int] = dict.fromkeys(layout.ignored, IGNORED)
        for name, values in layout.values.items():
            self._own.update(dict.fromkeys(values, ids[name]))
        self._stray, first = layout.stray_colours, layout.first_class
        self._grey = {IGNORED: IGNORED, **dict.fromkeys(range(first), IGNORED)}
        self._grey |= {i + first: i for i in ids.values() if i + first < IGNORED}
        self._grey |= {value: i for value, i in self._own.items() if isinstance(value, int)}

    def __call__(self, path: Path) -> npt.NDArray[np.uint8]:
        """Return the ids (H, W) uint8 of a file, 255 = ignored.

        Raises:
            InputError: it cannot be read, or has values or colours of no class.
        """
        picture = read_label_picture(path)
        of = f"class map {self.class_map.name}"
        with naming(path):
            if picture.ndim == 3:
                return ids_of_colours(picture, self._colours(), of, self._stray)
            table, known = np.full(256, IGNORED, np.uint8), np.zeros(256, bool)
            table[list(self._grey)] = list(self._grey.values())
            known[list(self._grey)] = True
            return ids_by_table(picture, table, known, of)

    def _colours(self) -> dict[tuple[int, int, int], int]:
        ids = {(0, 0, 0): IGNORED}
        for entry in self.class_map.classes:
            if ids.get(entry.color, IGNORED) != IGNORED:
                raise InputError(
                    f"a coloured picture, but in class map {self.class_map.name} two classes have "
                    f"colour {list(entry.color)}; give each its own, or save class ids"
                )
            ids[entry.color] = entry.id
        return ids | {value: i for value, i in self._own.items() if isinstance(value, tuple)}
