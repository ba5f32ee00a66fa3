"""Start the segmentation node and, on request, RViz.

If the argument of a parameter is empty, the value of the parameter file is used.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from tdnet_ros.parameters import PARAMETERS
from tdnet_ros.rclpy_tools.abandoned_ports import remove_dead_ports

CONFIG = Path(get_package_share_directory("tdnet_ros")) / "config"

LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
YES_NO = ("true", "false")

# Seconds until a node that ended is started again; one that cannot start must not fill the log.
RESPAWN_DELAY = 2.0

# Fast DDS 3, after Jazzy, renamed the variable of the profile.
PROFILE_VARIABLE = (
    "FASTRTPS_DEFAULT_PROFILES_FILE"
    if os.environ.get("ROS_DISTRO") in ("humble", "jazzy")
    else "FASTDDS_DEFAULT_PROFILES_FILE"
)


def _argument(
    name: str, description: str, default: str = "", choices: Sequence[str] = ()
) -> DeclareLaunchArgument:
    if choices and default not in choices:
        choices = (default, *choices)
    return DeclareLaunchArgument(
        name, default_value=default, description=description, choices=choices or None
    )


def _parameter_argument(name: str) -> DeclareLaunchArgument:
    """Declare the argument of a parameter of the same name."""
    spec = PARAMETERS[name]
    allowed = "" if spec.choices else f" Allowed: {spec.allowed}."
    return _argument(
        name,
        f"{spec.description}{allowed} Empty: as in params_file.",
        choices=spec.choices,
    )


ARGUMENTS = (
    _argument("image", "Topic of the camera's images.", default="image"),
    _parameter_argument("variant"),
    _parameter_argument("weights"),
    _parameter_argument("class_map"),
    _parameter_argument("device"),
    _parameter_argument("precision"),
    _parameter_argument("runtime"),
    _parameter_argument("provider"),
    _argument(
        "params_file",
        "Parameter file of the node. An argument that is not empty overrides the file's value.",
        default=str(CONFIG / "segment.yaml"),
    ),
    _argument("namespace", "Namespace of the node and of its relative topics."),
    _parameter_argument("image_transport"),
    _argument(
        "use_sim_time",
        "Use the time of /clock, for bags and simulators. Empty: as in params_file.",
        choices=YES_NO,
    ),
    _argument("log_level", "Least severity that is logged.", default="info", choices=LOG_LEVELS),
    _argument(
        "rviz",
        "Show the overlay in RViz, if it is installed. Displays of camera image and confidence "
        "can be enabled there.",
        default="false",
        choices=YES_NO,
    ),
    _argument(
        "respawn",
        f"Start the node again {RESPAWN_DELAY:.0f} s after its process ended.",
        default="false",
        choices=YES_NO,
    ),
    _argument(
        "dds_profile",
        "Give Fast DDS the shared memory that large images need, unless "
        f"{PROFILE_VARIABLE} is set. The camera driver needs it too.",
        default="true",
        choices=YES_NO,
    ),
)


def _params_file(given: str) -> str:
    path = Path(given).expanduser()
    if not path.is_file():  # launch_ros only warns, and the node would start with its defaults
        raise FileNotFoundError(f"params_file {given!r} is not a file: give a YAML file's path")
    return str(path)


def _segment_node(argument: dict[str, str]) -> Node:
    parameters: dict[str, ParameterValue | bool] = {
        name: ParameterValue(argument[name], value_type=str)  # not parsed as YAML
        for name in PARAMETERS
        if argument.get(name)
    }
    if argument["use_sim_time"]:
        parameters["use_sim_time"] = argument["use_sim_time"] == "true"
    environment = {}
    if argument["dds_profile"] == "true" and PROFILE_VARIABLE not in os.environ:
        environment[PROFILE_VARIABLE] = str(CONFIG / "fastdds_large_images.xml")
    return Node(
        package="tdnet_ros",
        executable="segment_node",
        name="tdnet",
        namespace=argument["namespace"],
        parameters=[_params_file(argument["params_file"]), *([parameters] if parameters else [])],
        remappings=[("image", argument["image"])],
        ros_arguments=["--log-level", argument["log_level"]],
        additional_env=environment,
        respawn=argument["respawn"] == "true",
        respawn_delay=RESPAWN_DELAY,
        # At once: a camera that sends to a killed node may block.
        on_exit=lambda event, context: remove_dead_ports(),
        output="screen",
        emulate_tty=True,
    )


def _rviz(argument: dict[str, str]) -> Node | LogInfo:
    # An exception here would end the launch, but not the node.
    try:
        get_package_prefix("rviz2")
    except PackageNotFoundError:
        return LogInfo(
            msg="rviz:=true, but the package rviz2 is not installed: going on without RViz; "
            "install it with `sudo apt install ros-$ROS_DISTRO-rviz2`"
        )
    namespace = argument["namespace"].strip("/")
    prefix = f"/{namespace}" if namespace else ""
    image = argument["image"]
    if not image.startswith("/"):
        image = f"{prefix}/{image}"
    return Node(
        package="rviz2",
        executable="rviz2",
        arguments=["--display-config", str(CONFIG / "segment.rviz")],
        remappings=[
            ("/image", image),
            ("/image/compressed", f"{image}/compressed"),
            ("/tdnet/overlay", f"{prefix}/tdnet/overlay"),
            ("/tdnet/confidence", f"{prefix}/tdnet/confidence"),
        ],
        output="screen",
    )


def _start(context: LaunchContext) -> list[Node | LogInfo]:
    argument = {a.name: context.launch_configurations[a.name] for a in ARGUMENTS}
    nodes: list[Node | LogInfo] = [_segment_node(argument)]
    if argument["rviz"] == "true":
        nodes.append(_rviz(argument))
    return nodes


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the node, and RViz on request."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_start)])
