"""Parameter files: the sections that a real node takes, and mistakes in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from rclpy.node import Node

from tdnet.errors import InputError
from tdnet_ros.params_file import parameters_of_node, read_parameters

# In the order of the file.
NAMES = (
    *("tdnet", "/robot/tdnet", "/robot/tdnet2", "other/tdnet", "/other", "/**"),
    *("/tdnet", "/*", "/*/tdnet", "/**/tdnet", "/robot/*", "/robot/**"),
)


@pytest.mark.parametrize("namespace", ["", "/robot", "/fleet/robot"])
def test_the_sections_are_those_that_a_node_takes(
    tmp_path: Path, ros: None, namespace: str
) -> None:
    path = tmp_path / "node.yaml"
    values = {
        name: {"ros__parameters": {f"given.at{number}": True, "given.last": name}}
        for number, name in enumerate(NAMES)
    }
    nested = {
        name: {"ros__parameters": {f"given.nested_{name}": True}} for name in ("tdnet", "other")
    }
    path.write_text(yaml.safe_dump(values | {"robot": nested}, sort_keys=False))
    node = Node(
        "tdnet",
        namespace=namespace,
        cli_args=["--ros-args", "--params-file", str(path)],
        automatically_declare_parameters_from_overrides=True,
        start_parameter_services=False,
    )
    taken = {
        f"given.{name}": parameter.value
        for name, parameter in node.get_parameters_by_prefix("given").items()
    }
    node.destroy_node()
    assert parameters_of_node(path, f"{namespace}/tdnet") == taken


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[1, 2]", "not a mapping of names"),
        ("a: [", "give the path of a YAML file"),
        ("/**: 3", r"/\*\* is 3; allowed is a mapping"),
        ("/**: {ros__parameters: [1]}", r"/\*\*: ros__parameters is \[1\]; allowed is a mapping"),
        ("/**: {ros__parameters: {weights: 3}}", "weights is 3; allowed is a text"),
        ("/**: {ros__parameters: {cameras: 'front, rear'}}", "cameras is 'front, rear'; allowed"),
        ("/**: {ros__parameters: {cameras: [on]}}", r"cameras is \[True\]; allowed is a list"),
    ],
)
def test_mistakes_name_file_and_field(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"file\.yaml: .*{problem}"):
        parameters_of_node(path, "/tdnet")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml.*; give the path of a YAML file"):
        read_parameters(tmp_path / "none.yaml")
