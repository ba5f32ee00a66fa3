"""The YAML form of a class map: read with line numbers in every complaint, and written."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence

from tdnet.class_map.model import (
    MAX_ID,
    MAX_NETWORK_CLASSES,
    UNLABELLED,
    ClassMap,
    FieldError,
    SegmentationClass,
    check_name,
    find_conflict,
)
from tdnet.class_map.yaml_fields import Field, parse_document

_MAP_KEYS = ("name", "network", "rest", "classes")
_CLASS_KEYS = ("id", "name", "color", "from", "hidden")
_ID = f"an id ({UNLABELLED} means unlabelled)"
_COLOR = "[red, green, blue], whole numbers from 0 to 255"
_LISTED = 5
_HEX_COLOR = re.compile(r"'#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})'")


def read_class_map(text: str, source: str) -> ClassMap:
    """Reads a class map; docs/class-maps.md describes the fields.

    Args:
        text: the YAML document.
        source: the file that messages name.

    Raises:
        ClassMapError: not a valid class map; the message names source, line and field.
    """
    document = parse_document(text, source)
    fields = document.mapping(_MAP_KEYS, required=("name", "network", "classes"))
    name = fields["name"].text("text, the name of the class map")
    try:
        check_name("name", name)
    except FieldError as error:
        fields["name"].fail(error.problem)
    network = _Network(fields["network"])
    entries = fields["classes"].items(f"a list of 1 to {MAX_ID + 1} classes", 1, MAX_ID + 1)
    classes = [_read_class(entry, network) for entry in entries]
    kept = _read_rest(fields, network, classes)
    conflict = find_conflict([*kept, *classes])
    if conflict:
        # The kept classes have no conflict among themselves, so the later one stands in the text.
        entries[conflict.position - len(kept)].child(conflict.field).fail(conflict.problem)
    return ClassMap(name, (*kept, *classes), network.num_channels)


def write_class_map(class_map: ClassMap) -> str:
    """Writes a class map as YAML, one line a class, with the network's channels as numbers."""
    lines = [f"name: {_quoted(class_map.name)}", f"network: {class_map.num_network_classes}"]
    used = sum(len(entry.sources) for entry in class_map.classes)
    if used < class_map.num_network_classes:
        lines.append("rest: unlabelled")
    lines.append("classes:")
    for entry in class_map.classes:
        line = f"id: {entry.id}, name: {_quoted(entry.name)}, color: {list(entry.color)}"
        if entry.sources != (entry.id,):
            line += f", from: {list(entry.sources)}"
        if entry.hidden:
            line += ", hidden: true"
        lines.append(f"  - {{{line}}}")
    return "\n".join(lines) + "\n"


class _Network:
    """What the channels of the network are: numbers, or the classes of a packaged map."""

    def __init__(self, field: Field) -> None:
        self.classes: dict[str, SegmentationClass] = {}
        names = ClassMap.packaged_names()
        allowed = f"the number of the network's channels, or one of {', '.join(names)}"
        if field.is_integer():
            self.num_channels = field.integer(allowed, 1, MAX_NETWORK_CLASSES)
            return
        name = field.text(allowed)
        if name not in names:
            field.fail(f"got {field.shown()}; allowed {allowed}{_nearest(name, names)}")
        packaged = ClassMap.load(name)
        self.classes = {entry.name: entry for entry in packaged.classes}
        self.num_channels = packaged.num_network_classes

    def read_channel(self, field: Field) -> int:
        """Reads one entry of ``from``: a name where the channels have names, else a number."""
        if not self.classes:
            return field.integer("a channel of the network", 0, self.num_channels - 1)
        allowed = f"a class of the network: {', '.join(self.classes)}"
        name = field.text(allowed)
        if name not in self.classes:
            field.fail(f"got {field.shown()}; allowed {allowed}{_nearest(name, self.classes)}")
        return self.classes[name].sources[0]

    def class_of(self, channel: int) -> SegmentationClass:
        """The class of a channel; only where the channels have names."""
        return next(entry for entry in self.classes.values() if entry.sources == (channel,))

    def listed(self, channels: Sequence[int]) -> str:
        """The first few of the channels, by name where they have one."""
        shown = [
            self.class_of(channel).name if self.classes else f"channel {channel}"
            for channel in channels[:_LISTED]
        ]
        more = [f"{len(channels) - _LISTED} more"] if len(channels) > _LISTED else []
        return ", ".join(shown + more)


def _read_class(entry: Field, network: _Network) -> SegmentationClass:
    fields = entry.mapping(
        _CLASS_KEYS, required=("name",) if network.classes else ("id", "name", "color")
    )
    name = fields["name"].text("text, the name of the class")
    own_id = fields["id"].integer(_ID, 0, MAX_ID) if "id" in fields else None
    sources = _read_sources(entry, fields, network, name if network.classes else own_id)
    # Only a class of a network with named classes may leave these out.
    class_id = network.class_of(sources[0]).id if own_id is None else own_id
    color = (
        _read_color(fields["color"]) if "color" in fields else network.class_of(sources[0]).color
    )
    hidden = fields["hidden"].flag() if "hidden" in fields else False
    try:
        return SegmentationClass(class_id, name, color, sources, hidden)
    except FieldError as error:
        entry.child(error.field).fail(error.problem)


def _read_sources(
    entry: Field, fields: dict[str, Field], network: _Network, default: str | int | None
) -> tuple[int, ...]:
    if "from" in fields:
        allowed = f"a list of 1 to {network.num_channels} of the network's classes"
        items = fields["from"].items(allowed, 1, network.num_channels)
        return tuple(network.read_channel(item) for item in items)
    if isinstance(default, int) and default < network.num_channels:
        return (default,)
    if isinstance(default, str) and default in network.classes:
        return network.classes[default].sources
    entry.fail(
        f"the key from is missing, and the network has no class {default!r}; add from with the "
        f"network's classes that become this one{_nearest(str(default), network.classes)}"
    )


def _read_color(field: Field) -> tuple[int, int, int]:
    hex_color = _HEX_COLOR.fullmatch(field.shown())
    if hex_color:
        values = [int(digits, 16) for digits in hex_color.groups()]
        field.fail(f"got {field.shown()}; allowed {_COLOR}; write {values}")
    red, green, blue = (
        item.integer("a part of a colour", 0, 255) for item in field.items(_COLOR, 3, 3)
    )
    return red, green, blue


def _read_rest(
    fields: dict[str, Field], network: _Network, classes: Sequence[SegmentationClass]
) -> list[SegmentationClass]:
    """The network's classes that stay as they are, because no class lists them."""
    used = {channel for entry in classes for channel in entry.sources}
    missing = [channel for channel in range(network.num_channels) if channel not in used]
    allowed = "keep or unlabelled" if network.classes else "unlabelled"
    if "rest" not in fields:
        if missing:
            fields["classes"].fail(
                f"got no from with {network.listed(missing)}; allowed only with the line "
                f"rest: {allowed}; add that line, or list what is missing"
            )
        return []
    field = fields["rest"]
    choice = field.text(allowed)
    if choice not in allowed.split(" or "):
        reason = "" if network.classes else " (the channels of the network have no names to keep)"
        field.fail(f"got {field.shown()}; allowed {allowed}{reason}")
    if choice == "unlabelled":
        return []
    return [entry for entry in network.classes.values() if not used.intersection(entry.sources)]


def _nearest(given: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(given[:64], list(names), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _quoted(name: str) -> str:
    """A name as a YAML scalar; JSON strings are YAML, and printable text needs no more."""
    return json.dumps(name, ensure_ascii=False)
