"""The message types that bags hold: the standard ones, and a project's own from .msg files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from tdnet.errors import InputError


def message_types(packages: Mapping[str, Path] | None = None) -> Typestore:
    """Return the standard ROS 2 message types and those of further packages.

    Args:
        packages: name of a package, such as ``tdnet_ros``, to the folder of its .msg files.

    Raises:
        InputError: a folder holds no message, or one that cannot be understood.
    """
    # The messages of Humble: the newer distributions' are the same on the wire.
    types = get_typestore(Stores.ROS2_HUMBLE)
    for package, folder in (packages or {}).items():
        files = sorted(folder.glob("*.msg"))
        if not files:
            raise InputError(f"{folder}: no .msg files; give the msg folder of {package}")
        try:
            found = {}
            for file in files:
                name = f"{package}/msg/{file.stem}"
                found.update(get_types_from_msg(file.read_text(encoding="utf-8"), name))
            types.register(found)
        except Exception as error:
            # rosbags passes on what its parser meets.
            raise InputError(f"{folder}: not message definitions ({error})") from error
    return types


def add_definitions(types: Typestore, definitions: Iterable[tuple[str, str]]) -> None:
    """Register the types that a bag itself defines and that are not known yet.

    Args:
        types: to add to.
        definitions: (type name, definition in the .msg format with what it depends on).
    """
    found = {}
    for name, text in definitions:
        if name not in types.fielddefs:
            found.update(get_types_from_msg(text, name))
    types.register({name: fields for name, fields in found.items() if name not in types.fielddefs})
