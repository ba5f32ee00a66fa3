"""The configuration of RViz for the cameras of a node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

# Topics of `config/segment.rviz`.
_NODE, _IMAGE = "/tdnet", "/image"


def rviz_config(template: str, node: str, topics: Mapping[str, str], fixed_frame: str) -> str:
    """Return a configuration with the displays of each camera, as a group if it has a name.

    Args:
        template: Text of `config/segment.rviz`, with the displays of one camera.
        node: Full name of the node.
        topics: Image topic of each camera by name, absolute; the only camera has no name.
        fixed_frame: Frame of the 3D view, from TF; empty: no TF, every point is where its own
            camera sees it.
    """
    config = yaml.safe_load(template)
    manager = config["Visualization Manager"]
    displays: list[dict[str, Any]] = []
    for name, topic in topics.items():
        own = [_of_camera(display, node, name, topic) for display in manager["Displays"]]
        group = {"Class": "rviz_common/Group", "Name": name, "Enabled": True, "Displays": own}
        displays += [group] if name else own
    manager["Displays"] = displays
    if fixed_frame:
        manager["Global Options"]["Fixed Frame"] = fixed_frame
        manager["Transformation"]["Current"]["Class"] = "rviz_default_plugins/TF"
        view = manager["Views"]["Current"]
        manager["Views"]["Current"] = {key: view[key] for key in ("Class", "Name", "Distance")}
    return yaml.safe_dump(config, sort_keys=False)


def _of_camera(display: Mapping[str, Any], node: str, camera: str, image: str) -> dict[str, Any]:
    topic = display["Topic"]["Value"]
    if topic.startswith(_NODE):
        topic = f"{node}/{camera}".rstrip("/") + topic.removeprefix(_NODE)
    else:
        topic = image + topic.removeprefix(_IMAGE)
    name = f"{camera} {display['Name']}".strip()
    return {**display, "Name": name, "Topic": {**display["Topic"], "Value": topic}}


def cameras_of_file(path: str) -> list[str]:
    """Return the names of the cameras in a parameter file; none if it cannot be read."""
    try:
        sections = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return []  # the node reports it
    return next(_cameras_in(sections), [])


def _cameras_in(section: object) -> Iterator[list[str]]:
    if isinstance(section, dict):
        parameters = section.get("ros__parameters")
        if isinstance(parameters, dict) and isinstance(parameters.get("cameras"), list):
            yield [str(name) for name in parameters["cameras"]]
        for inner in section.values():
            yield from _cameras_in(inner)
