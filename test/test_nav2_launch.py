"""The launch file for Nav2: real launch, with a package in the place of nav2_bringup."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tdnet_ros.nav2_layer import LAYER
from tdnet_ros.params_file import sections_of_node

pytest.importorskip(
    "launch_ros", reason="needs launch_ros, which has no wheels: `make test` on a ROS 2 machine"
)

LAUNCH_FILE = Path(__file__).parents[1] / "launch" / "nav2.launch.py"
NAV2 = "local_costmap: {local_costmap: {ros__parameters: {plugins: [inflation_layer]}}}\n"
# Arguments of the same names as ours, as that of Nav2 has them.
NAVIGATION = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo
from launch.substitutions import LaunchConfiguration as Value

defaults = {"namespace": "", "params_file": "x", "autostart": "true", "log_level": "info"}
defaults["ros_namespace"] = ""

def generate_launch_description():
    declared = [DeclareLaunchArgument(name, default_value=v) for name, v in defaults.items()]
    shown = [part for name in defaults for part in (f" {name}=", Value(name))]
    return LaunchDescription([*declared, LogInfo(msg=["NAV2", *shown])])
"""
# Until the node's process is there.
START = """
import json, sys
from launch import LaunchDescription, LaunchService
from launch.actions import EmitEvent, IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessStart
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import PushRosNamespace

path, outer, *arguments = sys.argv[1:]

def on_start(event, context):
    files = [w for w in event.cmd if w.endswith(".yaml") or "launch_params_" in w]
    process = event.cmd[0].rpartition("/")[2]
    print(f"STARTED {process} " + json.dumps([open(name).read() for name in files]))
    print("WITH " + " ".join(event.cmd))
    return EmitEvent(event=Shutdown()) if process == "segment_node" else None

service = LaunchService(noninteractive=True)
service.include_launch_description(LaunchDescription([
    RegisterEventHandler(OnProcessStart(on_start=on_start)),
    *([PushRosNamespace(outer)] if outer else []),
    IncludeLaunchDescription(
        PythonLaunchDescriptionSource(path),
        launch_arguments=[argument.split(":=", 1) for argument in arguments],
    ),
]))
sys.exit(service.run())
"""


@pytest.fixture
def launch(tmp_path: Path) -> Callable[..., str]:
    """Launches with arguments; returns the output."""
    share = tmp_path / "prefix" / "share"
    for folder in ("nav2_bringup/launch", "nav2_bringup/params", "ament_index/resource_index"):
        (share / folder).mkdir(parents=True)
    (share / "ament_index/resource_index/packages").mkdir()
    (share / "ament_index/resource_index/packages/nav2_bringup").touch()
    (share / "nav2_bringup/launch/navigation_launch.py").write_text(NAVIGATION)
    (share / "nav2_bringup/params/nav2_params.yaml").write_text(NAV2)

    def start(*arguments: str, outer: str = "", bringup: bool = True) -> str:
        path = os.environ["AMENT_PREFIX_PATH"]
        done = subprocess.run(
            [sys.executable, "-c", START, str(LAUNCH_FILE), outer, *arguments],
            env=os.environ | {"AMENT_PREFIX_PATH": f"{share.parent}:{path}" if bringup else path},
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.stdout + done.stderr

    return start


def node_parameters(output: str, node: str, process: str = "segment_node") -> dict[str, object]:
    start = f"STARTED {process} "
    (line,) = [line for line in output.splitlines() if line.startswith(start)]
    parameters: dict[str, object] = {}
    for text in json.loads(line.removeprefix(start)):
        # A tag that launch_ros writes, and rcl ignores.
        values = yaml.safe_load(text.replace("!!python/tuple", ""))
        for section in sections_of_node(values, text, node):
            parameters |= section
    return parameters


def test_nav2_gets_the_layer_and_the_node_its_depth(
    launch: Callable[..., str], tmp_path: Path
) -> None:
    own = tmp_path / "node.yaml"
    own.write_text(
        "fleet: {robot: {tdnet: {ros__parameters: {class_map: nyudv2, depth: /other}}}}\n"
        "/other: {ros__parameters: {class_map: camvid}}\n"
    )
    written = tmp_path / "out.yaml"
    output = launch(
        "namespace:=robot",
        "depth:=/camera/depth",
        f"params_file:={own}",
        f"output_file:={written}",
        outer="fleet",
    )
    parameters = node_parameters(output, "/fleet/robot/tdnet")
    assert (parameters["depth"], parameters["class_map"]) == ("/camera/depth", "nyudv2")
    # The section of another node is as it was.
    assert r"\n/other:\n  ros__parameters:\n    class_map: camvid\n/**:" in output
    assert (
        f"NAV2 namespace=/fleet/robot params_file={written} autostart=true log_level=info "
        "ros_namespace=/fleet/robot"
    ) in output
    local = yaml.safe_load(written.read_text())["local_costmap"]["local_costmap"]
    layer = local["ros__parameters"][LAYER]
    assert layer["camera"]["pointcloud_topic"] == "/fleet/robot/tdnet/points"
    assert "floor" in layer["camera"]["free"]["classes"]
    assert "costs in" in output
    assert "window, picture, blinds" in output


def test_with_a_bond_a_manager_starts_the_node(launch: Callable[..., str], tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    (prefix / "share/ament_index/resource_index/packages/nav2_lifecycle_manager").touch()
    (prefix / "share/nav2_lifecycle_manager").mkdir()
    manager = prefix / "lib/nav2_lifecycle_manager/lifecycle_manager"
    manager.parent.mkdir(parents=True)
    manager.write_text("#!/bin/sh\nexec sleep 30\n")
    manager.chmod(0o755)
    # A camera's depth topic is a remapping.
    depth = ("cameras:=front=/f rear=/r", "depth:=rear=/r/depth")
    output = launch("bond:=true", "nav2:=false", *depth)
    parameters = node_parameters(output, "/tdnet")
    assert (parameters["bond"], parameters["autostart"]) == (True, False)
    assert (parameters["cameras"], parameters["depth"]) == (["front", "rear"], "depth")
    assert "-r rear/depth:=/r/depth" in output
    assert "front/depth" not in output
    manages = node_parameters(output, "/lifecycle_manager_segmentation", "lifecycle_manager")
    assert (manages["node_names"], manages["autostart"]) == (["tdnet"], True)


def test_without_nav2_the_node_runs_and_one_line_says_so(
    launch: Callable[..., str], tmp_path: Path
) -> None:
    output = launch("bond:=true", bringup=False)
    missing = "but the package nav2_{} is not installed: going on without it"
    assert missing.format("bringup") in output
    assert missing.format("lifecycle_manager") in output
    assert node_parameters(output, "/tdnet")["autostart"] is True

    wrong = tmp_path / "nav2.yaml"
    wrong.write_text("local_costmap: 3\n")
    output = launch(f"nav2_params_file:={wrong}")
    assert f"{wrong}: no plugins of local_costmap" in output
    assert "STARTED" not in output
    output = launch("cameras:=front", "depth:=rear=/r")
    assert "depth has the camera 'rear'; allowed: front" in output
    assert "STARTED" not in output
