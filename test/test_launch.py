import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
LAUNCH_FILE = ROOT / "launch" / "segment.launch.py"
ARGUMENTS = (
    "image",
    "cameras",
    "variant",
    "weights",
    "class_map",
    "device",
    "precision",
    "input_size",
    "output_size",
    "max_rate",
    "runtime",
    "provider",
    "params_file",
    "node_name",
    "namespace",
    "autostart",
    "image_transport",
    "use_sim_time",
    "log_level",
    "rviz",
    "fixed_frame",
    "respawn",
    "dds_profile",
)
PROFILES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")

# Launches the file for real, with the arguments of argv, until the node's process is there.
START = """
import json, sys
from launch import LaunchDescription, LaunchService
from launch.actions import EmitEvent, IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessStart
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource

path, *arguments = sys.argv[1:]
started = []

def on_start(event, context):
    texts = {name: open(name).read() for name in event.cmd if "launch_params_" in name}
    started.append({"cmd": event.cmd, "env": dict(event.env), "texts": texts})
    return EmitEvent(event=Shutdown())

service = LaunchService(noninteractive=True)
service.include_launch_description(LaunchDescription([
    RegisterEventHandler(OnProcessStart(on_start=on_start)),
    IncludeLaunchDescription(
        PythonLaunchDescriptionSource(path),
        launch_arguments=[argument.split(":=", 1) for argument in arguments],
    ),
]))
status = service.run()
print("STARTED " + json.dumps(started))
sys.exit(status)
"""


@pytest.fixture
def launch_ros() -> None:
    pytest.importorskip(
        "launch_ros",
        reason="needs launch_ros, which has no wheels: `make test` on a ROS 2 machine",
    )


@pytest.fixture
def start(launch_ros: None) -> Callable[..., dict[str, Any]]:
    """Launches with arguments; gives command, environment and parameters of the one process."""

    def launch(*arguments: str, **environment: str) -> dict[str, Any]:
        inherited = {k: v for k, v in os.environ.items() if k not in PROFILES}
        answer = subprocess.run(
            [sys.executable, "-c", START, str(LAUNCH_FILE), *arguments],
            env=inherited | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        lines = [line for line in answer.stdout.splitlines() if line.startswith("STARTED ")]
        assert lines, answer.stdout + answer.stderr
        (process,) = json.loads(lines[0].removeprefix("STARTED "))
        process["parameters"] = {}
        for text in process["texts"].values():
            for section in yaml.full_load(text).values():  # launch writes lists as tuples
                process["parameters"].update(section["ros__parameters"])
        return process

    return launch


def option(process: dict[str, Any], flag: str) -> list[str]:
    """Every value that the command line gives after a flag."""
    command = process["cmd"]
    return [value for given, value in pairwise(command) if given == flag]


@pytest.mark.usefixtures("launch_ros")
def test_every_argument_is_described() -> None:
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    from tdnet_ros.parameters import PARAMETERS

    description = get_launch_description_from_python_launch_file(str(LAUNCH_FILE))
    arguments = description.get_launch_arguments()
    assert [argument.name for argument in arguments] == list(ARGUMENTS)
    for argument in arguments:
        assert len(argument.description) > 20
        assert argument.default_value is not None
        if spec := PARAMETERS.get(argument.name):
            assert argument.description.startswith(spec.description)
            choices = ("true", "false") if isinstance(spec.default, bool) else spec.choices
            assert tuple(argument.choices or ()) == (("", *choices) if choices else ())
    choices = {argument.name: argument.choices for argument in arguments if argument.choices}
    assert choices["image_transport"] == ("", "raw", "compressed")
    assert choices["respawn"] == ("true", "false")


@pytest.mark.usefixtures("launch_ros")
def test_the_launch_file_does_not_load_pytorch() -> None:
    """It runs beside the node, on machines with little memory."""
    code = "import runpy, sys; runpy.run_path(sys.argv[1]); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, str(LAUNCH_FILE)]).returncode == 0


def test_without_arguments_the_params_file_speaks(start: Callable[..., dict[str, Any]]) -> None:
    process = start()
    assert Path(process["cmd"][0]).name == "segment_node"
    assert "__node:=tdnet" in option(process, "-r")
    assert "image:=image" in option(process, "-r")
    (params_file,) = option(process, "--params-file")
    assert params_file.endswith("config/segment.yaml")
    assert process["parameters"] == {}


def test_arguments_reach_the_node(start: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("/**: {ros__parameters: {overlay.alpha: 0.7}}\n")
    process = start(
        "image:=/front/image_raw",
        "variant:=psp18",
        "weights:=/data/own: new.pkl",
        "precision:=float32",
        "runtime:=torch",
        "input_size:=[129, 257]",
        "output_size:=120, 160",
        "max_rate:=5",
        "autostart:=false",
        "node_name:=seg",
        f"params_file:={own}",
        "namespace:=robot",
        "use_sim_time:=true",
        "log_level:=warn",
    )
    names = {"__ns:=/robot", "__node:=seg", "image:=/front/image_raw"}
    assert names <= set(option(process, "-r"))
    assert option(process, "--log-level") == ["warn"]
    assert option(process, "--params-file")[0] == str(own)
    assert process["parameters"] == {
        "variant": "psp18",
        "weights": "/data/own: new.pkl",
        "precision": "float32",
        "runtime": "torch",
        "input_size": (129, 257),
        "output_size": "120, 160",
        "max_rate": 5.0,
        "autostart": False,
        "use_sim_time": True,
    }


def test_cameras_have_a_topic_each(start: Callable[..., dict[str, Any]]) -> None:
    process = start("cameras:=front=/a/image_raw, on")
    assert process["parameters"] == {"cameras": ["front", "on"]}
    remapped = [rule for rule in option(process, "-r") if "/image" in rule]
    assert remapped == ["front/image:=/a/image_raw", "on/image:=on/image"]


def test_a_tilde_in_the_params_file_is_the_home_folder(
    start: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("/**: {ros__parameters: {overlay.alpha: 0.7}}\n")
    process = start("params_file:=~/own.yaml", HOME=str(tmp_path))
    assert option(process, "--params-file")[0] == str(own)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["params_file:=/nope.yaml"], "params_file '/nope.yaml' is not a file"),
        (["cameras:=a/b"], "cameras has the name 'a/b'; allowed: "),
        (["cameras:=front=/b@d"], "topic '/b@d'; allowed: "),
        (["cameras:=front", "image:=/cam"], "write cameras:=front=/cam"),
        (["max_rate:=fast"], "max_rate is 'fast'; allowed: 0 to 1000"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_bad_argument_ends_the_launch(launch_ros: None, arguments: list[str], part: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", START, str(LAUNCH_FILE), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = answer.stdout + answer.stderr
    assert part in said
    assert "STARTED []" in said
    assert answer.returncode == 1


@pytest.mark.parametrize(
    ("distro", "variable"),
    [
        pytest.param("humble", "FASTRTPS_DEFAULT_PROFILES_FILE", id="Fast DDS 2"),
        pytest.param("kilted", "FASTDDS_DEFAULT_PROFILES_FILE", id="Fast DDS 3"),
    ],
)
def test_the_node_gets_the_dds_profile(
    start: Callable[..., dict[str, Any]], distro: str, variable: str
) -> None:
    profile = start(ROS_DISTRO=distro)["env"][variable]
    assert profile.endswith("config/fastdds_large_images.xml")
    assert start(ROS_DISTRO=distro, **{variable: "/own.xml"})["env"][variable] == "/own.xml"
    assert variable not in start("dds_profile:=false", ROS_DISTRO=distro)["env"]


@pytest.mark.parametrize(
    ("argument", "valid"),
    [
        ("variant", "td4-psp18-nano"),
        ("precision", "bfloat16"),
        ("runtime", "onnxruntime"),
        ("image_transport", "compressed"),
        ("use_sim_time", "false"),
        ("log_level", "fatal"),
        ("rviz", "false"),
        ("respawn", "false"),
        ("dds_profile", "false"),
    ],
)
def test_an_unknown_choice_names_the_valid_ones(
    launch_ros: None, tmp_path: Path, argument: str, valid: str
) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", START, str(LAUNCH_FILE), f"{argument}:=no-such-choice"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    said = answer.stdout + answer.stderr
    assert "no-such-choice" in said
    assert valid in said
    assert "STARTED []" in said


@pytest.mark.usefixtures("launch_ros")
def test_without_rviz_the_node_starts_alone(tmp_path: Path) -> None:
    """In an environment of this package only."""
    index = Path("share/ament_index/resource_index/packages")
    (tmp_path / index).mkdir(parents=True)
    (tmp_path / index / "tdnet_ros").touch()
    (tmp_path / "share" / "tdnet_ros").symlink_to(ROOT)
    (tmp_path / "lib" / "tdnet_ros").mkdir(parents=True)
    (tmp_path / "lib" / "tdnet_ros" / "segment_node").symlink_to("/bin/true")
    answer = subprocess.run(
        [sys.executable, "-c", START, str(LAUNCH_FILE), "rviz:=true"],
        env={**os.environ, "AMENT_PREFIX_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = answer.stdout + answer.stderr
    assert "rviz2 is not installed: going on without RViz" in said
    assert answer.returncode == 0, said
    (started,) = [line for line in said.splitlines() if line.startswith("STARTED ")]
    (process,) = json.loads(started.removeprefix("STARTED "))
    assert Path(process["cmd"][0]).name == "segment_node"
