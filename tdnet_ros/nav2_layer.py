"""Parameters of Nav2's semantic segmentation layer, for the classes and topics of a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy

import yaml

from tdnet.errors import InputError, one_line
from tdnet_ros.params_file import Parameters

LAYER = "semantic_segmentation_layer"
OTHER = "other"
"""The class type of classes that a layer file does not list."""
COSTMAPS = {
    "local": ["local_costmap"],
    "global": ["global_costmap"],
    "both": ["local_costmap", "global_costmap"],
}
_LAST_PLUGIN = "inflation_layer"


class _Dumper(yaml.SafeDumper):
    """Writes an object that occurs twice in full: ROS reads no references."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def to_yaml(values: Parameters) -> str:
    """Return parameters as YAML that ROS can read."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False)


def layer_parameters(
    layer: Parameters, source: str, classes: Sequence[str], topics: Mapping[str, Parameters]
) -> tuple[Parameters, list[str]]:
    """Return the layer's parameters with every class of a class map, and the unlisted classes.

    Args:
        layer: those of a layer file, as in ``config/nav2_layer.yaml``.
        source: name of the layer file, for messages.
        classes: names of the class map.
        topics: the topics of each camera, by its name.

    Raises:
        InputError: the layer file has no class types, or a type without costs.
    """
    filled = deepcopy(layer)
    template = filled.pop("camera", None)
    types = template.get("class_types") if isinstance(template, dict) else None
    if (
        not isinstance(types, list)
        or OTHER not in types
        or not all(isinstance(name, str) for name in types)
    ):
        raise InputError(
            f"{source}: camera.class_types is {one_line(repr(types))}; allowed is a list of class "
            f"types with {OTHER!r}, as in config/nav2_layer.yaml"
        )
    listed: set[str] = set()
    for name in types:
        costs = template.get(name)
        if not isinstance(costs, dict) or not isinstance(costs.get("classes"), list):
            raise InputError(
                f"{source}: camera.{name} is {one_line(repr(costs))}; allowed is a mapping "
                "with `classes` and costs, as in config/nav2_layer.yaml"
            )
        # The layer uses the first type of a class.
        costs["classes"] = [c for c in costs["classes"] if c in classes and c not in listed]
        listed.update(costs["classes"])
    unlisted = [name for name in classes if name not in listed]
    template[OTHER]["classes"] += unlisted
    # A type without classes is an error of the layer.
    template["class_types"] = [name for name in types if template[name]["classes"]]
    for name in types:
        if name not in template["class_types"]:
            template.pop(name, None)
    filled["observation_sources"] = " ".join(topics)
    filled.update({name: {**of_camera, **template} for name, of_camera in topics.items()})
    return filled, unlisted


def add_layer(
    nav2: Parameters, source: str, layer: Parameters, costmaps: Sequence[str]
) -> Parameters:
    """Return Nav2's parameters with the layer in costmaps, before the inflation.

    Args:
        nav2: those of Nav2's parameter file.
        source: name of that file, for messages.
        layer: those of the layer; they replace any in the file.
        costmaps: names of costmaps, such as ``local_costmap``.

    Raises:
        InputError: the file does not configure such a costmap.
    """
    nav2 = deepcopy(nav2)
    for name in costmaps:
        try:
            costmap = nav2[name][name]["ros__parameters"]
            plugins = costmap["plugins"]
        except (KeyError, TypeError):
            plugins = None
        if not isinstance(plugins, list):
            raise InputError(
                f"{source}: no plugins of {name}; give Nav2's parameter file with "
                f"{name}: {name}: ros__parameters: plugins"
            )
        plugins = [plugin for plugin in plugins if plugin != LAYER]
        at = plugins.index(_LAST_PLUGIN) if _LAST_PLUGIN in plugins else len(plugins)
        costmap["plugins"] = [*plugins[:at], LAYER, *plugins[at:]]
        costmap[LAYER] = deepcopy(layer)
    return nav2
