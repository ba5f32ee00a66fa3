"""The configuration of RViz for the cameras of a node."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tdnet.errors import InputError
from tdnet_ros.params_file import parameters_of_node

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


def cameras_of_file(path: str, node: str) -> list[str]:
    """Return the names of a node's cameras in a parameter file; none if it cannot be read.

    Args:
        path: The file.
        node: Full name of the node.
    """
    try:
        parameters = parameters_of_node(Path(path), node)
    except InputError:
        return []  # the node reports it
    return list(parameters.get("cameras", ()))
