"""Start the segmentation node and, on request, RViz.

If the argument of a parameter is empty, the value of the parameter file is used.
"""

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import List  # noqa: UP035 (launch does not know list[str])

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue

from tdnet_ros.parameter_values import ParameterError, Value, parse_camera_topics
from tdnet_ros.parameters import PARAMETERS
from tdnet_ros.rclpy_tools.abandoned_ports import remove_dead_ports
from tdnet_ros.rviz_config import cameras_of_file, rviz_config

CONFIG = Path(get_package_share_directory("tdnet_ros")) / "config"

LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
YES_NO = ("true", "false")

# Seconds until a node that ended is started again; one that cannot start must not fill the log.
RESPAWN_DELAY = 2.0

# rcl checks the rest; of other characters it reports the position in a rule only.
_TOPIC = re.compile(r"[\w/~{}]+", re.ASCII)

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


def _parameter_argument(name: str, note: str = "") -> DeclareLaunchArgument:
    """Declare the argument of a parameter of the same name."""
    spec = PARAMETERS[name]
    choices = YES_NO if isinstance(spec.default, bool) else spec.choices
    allowed = "" if choices else f" Allowed: {spec.allowed}."
    return _argument(
        name, f"{spec.description}{note}{allowed} Empty: as in params_file.", choices=choices
    )


ARGUMENTS = (
    _argument("image", "Topic of the images of the only camera.", default="image"),
    _parameter_argument(
        "cameras", " With their topics: front=/front/image_raw rear=/rear/image_raw."
    ),
    _parameter_argument("variant"),
    _parameter_argument("weights"),
    _parameter_argument("class_map"),
    _parameter_argument("device"),
    _parameter_argument("precision"),
    _parameter_argument("input_size"),
    _parameter_argument("output_size"),
    _parameter_argument("max_rate"),
    _parameter_argument("runtime"),
    _parameter_argument("provider"),
    _argument(
        "params_file",
        "Parameter file of the node. An argument that is not empty overrides the file's value.",
        default=str(CONFIG / "segment.yaml"),
    ),
    _argument("node_name", "Name of the node; its topics are NODE_NAME/...", default="tdnet"),
    _argument("namespace", "Namespace of the node and of its relative topics."),
    _parameter_argument("autostart"),
    _parameter_argument("image_transport"),
    _argument(
        "use_sim_time",
        "Use the time of /clock, for bags and simulators. Empty: as in params_file.",
        choices=YES_NO,
    ),
    _argument("log_level", "Least severity that is logged.", default="info", choices=LOG_LEVELS),
    _argument(
        "rviz",
        "Show the overlay of each camera in RViz, if it is installed. Displays of camera image, "
        "confidence and points can be enabled there.",
        default="false",
        choices=YES_NO,
    ),
    _argument(
        "fixed_frame",
        "Fixed frame of RViz, for example base_link. Empty: no TF, points are seen from their "
        "camera.",
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


def _camera_topics(argument: Mapping[str, str]) -> dict[str, str]:
    """Return the image topic of each camera by name; without names of the only one."""
    topics = parse_camera_topics(argument["cameras"])
    if topics and argument["image"] != "image":
        raise ParameterError(
            f"image is {argument['image']!r} beside cameras; allowed is one of them: write "
            f"cameras:={next(iter(topics))}={argument['image']}"
        )
    topics = topics or {"": argument["image"]}
    for topic in topics.values():
        if not _TOPIC.fullmatch(topic):
            raise ParameterError(f"topic {topic!r}; allowed: letters, digits, _ and /")
    return topics


def _parameters(argument: Mapping[str, str]) -> dict[str, object]:
    """Return the parameters that are given as arguments."""
    texts = {**argument, "cameras": " ".join(parse_camera_topics(argument["cameras"]))}
    parameters = {
        name: _typed(PARAMETERS[name].from_text(text))
        for name, text in texts.items()
        if text and name in PARAMETERS
    }
    if argument["use_sim_time"]:
        parameters["use_sim_time"] = argument["use_sim_time"] == "true"
    return parameters


def _typed(value: Value) -> object:
    """Return a value that launch does not parse as YAML."""
    if isinstance(value, str):
        return ParameterValue(value, value_type=str)
    if isinstance(value, list) and value and isinstance(value[0], str):
        return ParameterValue(value, value_type=List[str])  # noqa: UP006
    return value


def _segment_node(argument: Mapping[str, str]) -> LifecycleNode:
    parameters = _parameters(argument)
    environment = {}
    if argument["dds_profile"] == "true" and PROFILE_VARIABLE not in os.environ:
        environment[PROFILE_VARIABLE] = str(CONFIG / "fastdds_large_images.xml")
    return LifecycleNode(
        package="tdnet_ros",
        executable="segment_node",
        name=argument["node_name"],
        namespace=argument["namespace"],
        parameters=[_params_file(argument["params_file"]), *([parameters] if parameters else [])],
        remappings=[
            (f"{name}/image" if name else "image", topic)
            for name, topic in _camera_topics(argument).items()
        ],
        ros_arguments=["--log-level", argument["log_level"]],
        additional_env=environment,
        respawn=argument["respawn"] == "true",
        respawn_delay=RESPAWN_DELAY,
        # At once: a camera that sends to a killed node may block.
        on_exit=lambda event, context: remove_dead_ports(),
        output="screen",
        emulate_tty=True,
    )


def _rviz(
    context: LaunchContext, segment_node: LifecycleNode, argument: Mapping[str, str]
) -> list[Node | LogInfo]:
    # An exception here would end the launch, but not the node.
    try:
        get_package_prefix("rviz2")
    except PackageNotFoundError:
        return [
            LogInfo(
                msg="rviz:=true, but the package rviz2 is not installed: going on without RViz; "
                "install it with `sudo apt install ros-$ROS_DISTRO-rviz2`"
            )
        ]
    topics = _camera_topics(argument)
    if not argument["cameras"] and (
        names := cameras_of_file(_params_file(argument["params_file"]), segment_node.node_name)
    ):
        topics = {name: f"{name}/image" for name in names}
    namespace = segment_node.expanded_node_namespace.rstrip("/")
    text = rviz_config(
        (CONFIG / "segment.rviz").read_text(encoding="utf-8"),
        segment_node.node_name,
        {
            name: topic if topic.startswith("/") else f"{namespace}/{topic}"
            for name, topic in topics.items()
        },
        argument["fixed_frame"],
    )
    with tempfile.NamedTemporaryFile("w", suffix=".rviz", delete=False) as file:
        file.write(text)
    return [
        Node(
            package="rviz2",
            executable="rviz2",
            arguments=["--display-config", file.name],
            parameters=[{"use_sim_time": argument["use_sim_time"] == "true"}],
            output="screen",
        )
    ]


def _start(context: LaunchContext) -> list[Node | OpaqueFunction]:
    argument = {a.name: context.launch_configurations[a.name] for a in ARGUMENTS}
    node = _segment_node(argument)
    if argument["rviz"] == "false":
        return [node]
    # Its name is known once it was started.
    return [node, OpaqueFunction(function=_rviz, args=[node, argument])]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the node, and RViz on request."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_start)])
