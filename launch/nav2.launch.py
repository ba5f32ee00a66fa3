"""Start the segmentation node, and Nav2 with its labels in the costmaps.

Takes the arguments of segment.launch.py too. Writes Nav2's parameter file with the semantic
segmentation layer, which lists every class of the class map in use.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node, PushRosNamespace, SetRemap
from launch_ros.utilities import make_namespace_absolute, prefix_namespace

from tdnet.errors import InputError, quoted
from tdnet.settings import SegmenterSettings
from tdnet_ros.nav2_layer import COSTMAPS, add_layer, layer_parameters, to_yaml
from tdnet_ros.parameter_values import parse_camera_topics, parse_topic
from tdnet_ros.params_file import (
    PARAMETERS_KEY,
    Parameters,
    parameters_of_node,
    read_parameters,
    sections_of_node,
)

SHARE = Path(get_package_share_directory("tdnet_ros"))
CONFIG = SHARE / "config"
SEGMENT_LAUNCH_FILE = str(Path(__file__).parent / "segment.launch.py")
YES_NO = ("true", "false")
# Seconds: configure loads the model.
SERVICE_TIMEOUT = 120.0


def _argument(
    name: str, description: str, default: str = "", choices: Sequence[str] = ()
) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(
        name, default_value=default, description=description, choices=choices or None
    )


ARGUMENTS = (
    _argument(
        "depth",
        "Topic of the depth image that is aligned with the image; with cameras that of each: "
        "front=/front/depth rear=/rear/depth. Empty: as in params_file.",
    ),
    _argument(
        "pointcloud",
        "Topic of an organised point cloud with a point for each label pixel, in place of "
        "~/points; set output_size to its height and width. Empty: ~/points, made from depth.",
    ),
    _argument(
        "nav2_params_file",
        "Nav2's parameter file, to which the layer is added. Empty: that of nav2_bringup.",
    ),
    _argument(
        "layer_file",
        "Settings of the layer and costs of the classes.",
        str(CONFIG / "nav2_layer.yaml"),
    ),
    _argument("costmaps", "Costmaps that get the layer.", "local", tuple(COSTMAPS)),
    _argument(
        "output_file",
        "File for Nav2's parameters with the layer. Empty: a temporary file.",
    ),
    _argument(
        "nav2",
        "Start navigation_launch.py of nav2_bringup with these parameters. false: only write "
        "them, for a bringup of your own.",
        "true",
        YES_NO,
    ),
    _argument(
        "bond",
        "A lifecycle manager with a bond starts the segmentation node; needs "
        "nav2_lifecycle_manager and bondpy.",
        "false",
        YES_NO,
    ),
)


def _node_name(argument: Mapping[str, str]) -> str:
    """Return the node's full name, which launch_ros makes in the same way."""
    namespace = prefix_namespace(argument.get("ros_namespace"), argument.get("namespace", ""))
    return prefix_namespace(make_namespace_absolute(namespace), argument.get("node_name", "tdnet"))


def _node_file(argument: Mapping[str, str]) -> Path:
    return Path(argument.get("params_file") or CONFIG / "segment.yaml").expanduser()


def _node_parameters(argument: Mapping[str, str]) -> Parameters:
    """Return the parameters of the node's file, and those given as arguments."""
    parameters = parameters_of_node(_node_file(argument), _node_name(argument))
    return parameters | {
        name: argument[name] for name in ("variant", "weights", "class_map") if argument.get(name)
    }


def _cameras(argument: Mapping[str, str], parameters: Parameters) -> list[str]:
    given = list(parse_camera_topics(argument.get("cameras", "")))
    return given or parameters.get("cameras") or [""]


def _depth_topics(argument: Mapping[str, str], cameras: Sequence[str]) -> dict[str, str]:
    """Return the depth topics that are given for cameras, by their names."""
    topics = {}
    for word in argument["depth"].replace(",", " ").split() if "=" in argument["depth"] else ():
        name, _, topic = word.partition("=")
        if name not in cameras:
            allowed = ", ".join(filter(None, cameras)) or "none; give one topic"
            raise InputError(f"depth has the camera {quoted(name)}; allowed: {allowed}")
        topics[name] = parse_topic(f"depth of {name}", topic)
    return topics


def _layer(argument: Mapping[str, str], node: str) -> tuple[Parameters, list[str]]:
    parameters = _node_parameters(argument)
    settings = SegmenterSettings(
        variant=parameters.get("variant", "auto"),
        weights=parameters.get("weights", ""),
        class_map=parameters.get("class_map", ""),
    )
    classes = [entry.name for entry in settings.read_class_map().classes]
    cameras = _cameras(argument, parameters)
    _depth_topics(argument, cameras)  # checks them
    topics = {}
    for name in cameras:
        prefix = f"{node}/{name}" if name else node
        topics[name or "camera"] = {
            "segmentation_topic": f"{prefix}/labels",
            "confidence_topic": f"{prefix}/confidence",
            "labels_topic": f"{node}/label_info",
            "pointcloud_topic": argument["pointcloud"] or f"{prefix}/points",
        }
    path = Path(argument["layer_file"]).expanduser()
    return layer_parameters(read_parameters(path), str(path), classes, topics)


def _written(values: Parameters, path: str = "") -> str:
    """Write YAML to a path, or to a temporary file; return the path."""
    if path:
        file = Path(path).expanduser()
        file.write_text(to_yaml(values), encoding="utf-8")
        return str(file)
    with tempfile.NamedTemporaryFile("w", prefix="tdnet_nav2_", suffix=".yaml", delete=False) as f:
        f.write(to_yaml(values))
    return f.name


def _share(package: str) -> Path | None:
    try:
        return Path(get_package_share_directory(package))
    except PackageNotFoundError:
        return None


def _is_managed(argument: Mapping[str, str]) -> bool:
    return argument["bond"] == "true" and _share("nav2_lifecycle_manager") is not None


def _set_node_parameters(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Add those that segment.launch.py has no arguments for to its parameter file.

    Return the remappings of the cameras' depth topics.
    """
    argument = context.launch_configurations
    depth = _depth_topics(argument, _cameras(argument, _node_parameters(argument)))
    changed: Parameters = {}
    if argument["depth"]:
        changed["depth"] = "depth" if depth else argument["depth"]
    if _is_managed(argument):
        changed |= {"bond": True, "autostart": False}
        argument["autostart"] = ""
    if changed:
        path = _node_file(argument)
        values = read_parameters(path)
        values.setdefault("/**", {}).setdefault(PARAMETERS_KEY, {})
        # In each, since a later section takes precedence.
        for parameters in sections_of_node(values, str(path), _node_name(argument)):
            parameters.update(changed)
        argument["params_file"] = _written(values)
    return [SetRemap(f"{name}/depth", topic) for name, topic in depth.items()]


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    argument = dict(context.launch_configurations)
    node = _node_name(argument)
    namespace, _, name = node.rpartition("/")
    layer, unlisted = _layer(argument, node)
    actions: list[LaunchDescriptionEntity] = []
    if unlisted:
        actions.append(
            LogInfo(
                msg=f"classes without costs in {argument['layer_file']}: {', '.join(unlisted)}: "
                "they get those of `other`"
            )
        )
    if _is_managed(argument):
        actions.append(_lifecycle_manager(argument, namespace, name))
    elif argument["bond"] == "true":
        actions.append(LogInfo(msg=_missing("bond", "nav2_lifecycle_manager")))
    return actions + _nav2(argument, namespace, layer, _share("nav2_bringup"))


def _nav2(
    argument: Mapping[str, str], namespace: str, layer: Parameters, bringup: Path | None
) -> list[LaunchDescriptionEntity]:
    path = Path(argument["nav2_params_file"]).expanduser()
    if not argument["nav2_params_file"]:
        if bringup is None:
            return [LogInfo(msg=_missing("nav2_params_file is empty", "nav2_bringup"))]
        path = bringup / "params" / "nav2_params.yaml"
    costmaps = COSTMAPS[argument["costmaps"]]
    nav2 = add_layer(read_parameters(path), str(path), layer, costmaps)
    written = _written(nav2, argument["output_file"])
    actions: list[LaunchDescriptionEntity] = [
        LogInfo(msg=f"Nav2's parameters with the layer in {', '.join(costmaps)}: {written}")
    ]
    if argument["nav2"] != "true":
        return actions
    if bringup is None:
        return [*actions, LogInfo(msg=_missing("nav2:=true", "nav2_bringup"))]
    include = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(bringup / "launch" / "navigation_launch.py")),
        launch_arguments={
            "namespace": namespace,
            "use_sim_time": argument.get("use_sim_time") or "false",
            "autostart": "true",
            "params_file": written,
        }.items(),
    )
    # Up to Kilted the file uses its namespace for the parameters only.
    return [*actions, GroupAction([PushRosNamespace(namespace or "/"), include])]


def _lifecycle_manager(argument: Mapping[str, str], namespace: str, name: str) -> Node:
    return Node(
        package="nav2_lifecycle_manager",
        executable="lifecycle_manager",
        name="lifecycle_manager_segmentation",
        namespace=namespace or "/",
        parameters=[
            {
                "node_names": [name],
                "autostart": True,
                "service_timeout": SERVICE_TIMEOUT,
                "use_sim_time": argument.get("use_sim_time") == "true",
            }
        ],
        output="screen",
    )


def _missing(what: str, package: str) -> str:
    apt = f"ros-$ROS_DISTRO-{package.replace('_', '-')}"
    return (
        f"{what}, but the package {package} is not installed: going on without it; install it "
        f"with `sudo apt install {apt}`"
    )


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the node, and Nav2 on request."""
    segment = IncludeLaunchDescription(PythonLaunchDescriptionSource(SEGMENT_LAUNCH_FILE))
    return LaunchDescription(
        [
            *ARGUMENTS,
            # First: if it fails, nothing starts.
            OpaqueFunction(function=_start),
            # In a scope of its own: Nav2's launch file has arguments of the same names.
            GroupAction([OpaqueFunction(function=_set_node_parameters), segment]),
        ]
    )
