"""Start the segmentation node and, on request, RViz with its pictures.

An argument that is left empty does not speak: the parameter file does.
"""

import os
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

from tdnet import ClassMap, list_variants
from tdnet.backends import RUNTIMES
from tdnet_ros.rclpy_tools.abandoned_ports import remove_dead_ports

CONFIG = Path(get_package_share_directory("tdnet_ros")) / "config"

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
IMAGE_TRANSPORTS = ("raw", "compressed")
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
YES_NO = ("true", "false")

# Seconds until a node that ended starts again: one that cannot start must not fill the log.
RESPAWN_DELAY = 2.0

# Parameters of the node that have a launch argument of the same name.
PARAMETERS = (
    "variant",
    "weights",
    "class_map",
    "device",
    "precision",
    "runtime",
    "image_transport",
)

# The variable that names the profile was renamed with Fast DDS 3, after Jazzy.
PROFILE_VARIABLE = (
    "FASTRTPS_DEFAULT_PROFILES_FILE"
    if os.environ.get("ROS_DISTRO") in ("humble", "jazzy")
    else "FASTDDS_DEFAULT_PROFILES_FILE"
)


def _argument(
    name: str, description: str, default: str = "", choices: tuple[str, ...] | None = None
) -> DeclareLaunchArgument:
    if choices is not None and default not in choices:
        choices = (default, *choices)
    return DeclareLaunchArgument(
        name, default_value=default, description=description, choices=choices
    )


ARGUMENTS = (
    _argument("image", "Topic of the camera's images.", default="image"),
    _argument(
        "variant",
        "Network, see `tdnet info`. Empty: as in params_file.",
        choices=list_variants(),
    ),
    _argument(
        "weights",
        "Weights file of the network, or folder of exported graphs. Empty: as in params_file.",
    ),
    _argument(
        "class_map",
        f"Packaged class map ({', '.join(ClassMap.packaged_names())}) or path of a YAML file. "
        "Empty: as in params_file.",
    ),
    _argument("device", "auto, cpu, cuda or cuda:N. Empty: as in params_file."),
    _argument(
        "precision",
        "Numbers that the network computes with. Empty: as in params_file.",
        choices=PRECISIONS,
    ),
    _argument(
        "runtime",
        "torch, or what runs the exported graphs that weights names. Empty: as in params_file.",
        choices=RUNTIMES,
    ),
    _argument(
        "params_file",
        "Parameter file of the node. An argument that is not empty overrides the file's value.",
        default=str(CONFIG / "segment.yaml"),
    ),
    _argument("namespace", "Namespace of the node and of its relative topics."),
    _argument(
        "image_transport",
        "Subscribe to the image topic itself (raw) or to its /compressed. "
        "Empty: as in params_file.",
        choices=IMAGE_TRANSPORTS,
    ),
    _argument(
        "use_sim_time",
        "Take the time from /clock, for bags and simulators. Empty: as in params_file.",
        choices=YES_NO,
    ),
    _argument("log_level", "Least severity that is logged.", default="info", choices=LOG_LEVELS),
    _argument(
        "rviz",
        "Show the overlay in RViz, where it is installed; camera image and confidence are there "
        "to be ticked.",
        default="false",
        choices=YES_NO,
    ),
    _argument(
        "respawn",
        f"Start the node again, {RESPAWN_DELAY:.0f} s after its process ended.",
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
    if not path.is_file():  # launch_ros warns only, and the node starts with its defaults
        raise FileNotFoundError(f"params_file {given!r} is not a file: give a YAML file's path")
    return str(path)


def _segment_node(argument: dict[str, str]) -> Node:
    parameters: dict[str, ParameterValue | bool] = {
        name: ParameterValue(argument[name], value_type=str)  # not parsed as YAML
        for name in PARAMETERS
        if argument[name]
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
        # At once: a camera that sends to a killed node may block otherwise.
        on_exit=lambda event, context: remove_dead_ports(),
        output="screen",
        emulate_tty=True,
    )


def _rviz(argument: dict[str, str]) -> Node | LogInfo:
    # A launch that fails at RViz would end without ending the node.
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
    """Declare the arguments and start what they ask for."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_start)])
