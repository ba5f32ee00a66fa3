"""Parameters of Nav2's layer: every class of the class map once, and only what the layer knows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tdnet import ClassMap
from tdnet.errors import InputError
from tdnet_ros.nav2_layer import LAYER, add_layer, layer_parameters, to_yaml
from tdnet_ros.params_file import read_parameters

LAYER_FILE = Path(__file__).parents[2] / "config" / "nav2_layer.yaml"
TOPICS = {"camera": {"segmentation_topic": "/tdnet/labels"}}
# As the layer reads them, on Humble to Rolling.
OF_SOURCE = {
    *("segmentation_topic", "confidence_topic", "labels_topic", "pointcloud_topic"),
    *("max_obstacle_distance", "min_obstacle_distance", "tile_map_decay_time"),
    *("use_cost_selection", "class_types"),
}
OF_TYPE = {
    *("classes", "base_cost", "max_cost", "mark_confidence", "samples_to_max_cost"),
    "dominant_priority",
}
NAV2 = """
local_costmap:
  local_costmap:
    ros__parameters:
      resolution: 0.05
      plugins: [voxel_layer, inflation_layer]
global_costmap:
  global_costmap:
    ros__parameters:
      plugins: [static_layer]
"""


def names(class_map: str) -> list[str]:
    return [entry.name for entry in ClassMap.load(class_map).classes]


@pytest.mark.parametrize("class_map", ClassMap.packaged_names())
def test_every_class_has_costs(class_map: str) -> None:
    layer, unlisted = layer_parameters(
        read_parameters(LAYER_FILE), str(LAYER_FILE), names(class_map), TOPICS
    )
    source = layer["camera"]
    types = source["class_types"]
    listed = [name for kind in types for name in source[kind]["classes"]]
    assert sorted(listed) == sorted(names(class_map))
    assert unlisted == source.get("other", {"classes": []})["classes"]
    assert source.keys() - types <= OF_SOURCE
    for kind in types:
        assert source[kind].keys() == OF_TYPE
        assert source[kind]["classes"]
        costs = source[kind]["base_cost"], source[kind]["max_cost"]
        assert all(type(cost) is int and 0 <= cost <= 254 for cost in costs)
    if class_map in ("cityscapes", "camvid"):
        assert not unlisted
        free = [
            n for kind in types if not source[kind]["max_cost"] for n in source[kind]["classes"]
        ]
        assert set(free) == {"road", "sidewalk", "sky"}


def test_a_source_for_each_camera_before_the_inflation() -> None:
    topics = {name: {"segmentation_topic": f"/tdnet/{name}/labels"} for name in ("front", "rear")}
    layer, _ = layer_parameters(read_parameters(LAYER_FILE), "", names("camvid"), topics)
    assert layer["observation_sources"] == "front rear"
    assert layer["rear"]["segmentation_topic"] == "/tdnet/rear/labels"
    nav2 = yaml.safe_load(NAV2)
    both = add_layer(nav2, "nav2.yaml", layer, ["local_costmap", "global_costmap"])
    local = both["local_costmap"]["local_costmap"]["ros__parameters"]
    assert local["plugins"] == ["voxel_layer", LAYER, "inflation_layer"]
    assert local["resolution"] == 0.05
    assert local[LAYER] == layer
    assert both["global_costmap"]["global_costmap"]["ros__parameters"]["plugins"][-1] == LAYER
    assert add_layer(both, "", layer, ["local_costmap", "global_costmap"]) == both
    assert nav2 == yaml.safe_load(NAV2)
    assert "&" not in to_yaml(both)
    assert yaml.safe_load(to_yaml(both)) == both


def test_files_that_do_not_fit_are_named() -> None:
    layer = read_parameters(LAYER_FILE)
    text = {"global_costmap": {"global_costmap": {"ros__parameters": {"plugins": "static_layer"}}}}
    for nav2 in ({"local_costmap": None}, text):
        with pytest.raises(InputError, match=r"nav2\.yaml: no plugins of global_costmap"):
            add_layer(nav2, "nav2.yaml", layer, ["global_costmap"])
    with pytest.raises(InputError, match=r"mine\.yaml: camera\.class_types is None; allowed"):
        layer_parameters({"plugin": "x"}, "mine.yaml", ["road"], TOPICS)
    types = {"camera": {"class_types": ["other", ["x"]]}}
    with pytest.raises(
        InputError, match=r"mine\.yaml: camera\.class_types is \['other', \['x'\]\]"
    ):
        layer_parameters(types, "mine.yaml", ["road"], TOPICS)
    layer["camera"]["free"] = {"base_cost": 0}
    with pytest.raises(InputError, match=r"mine\.yaml: camera\.free is .* allowed is a mapping"):
        layer_parameters(layer, "mine.yaml", ["road"], TOPICS)


def test_the_classes_of_weights_are_read_without_pytorch(weights: str) -> None:
    """By the launch file, whose Python may not have it."""
    code = (
        "import sys; from tdnet.settings import SegmenterSettings; import tdnet_ros.nav2_layer\n"
        "for weights in sys.argv[1:]:\n"
        "    print(SegmenterSettings(weights=weights).read_class_map().name)\n"
        "print('torch' in sys.modules)"
    )
    words = [sys.executable, "-c", code, "", weights]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == "cityscapes\ncityscapes\nFalse\n"
