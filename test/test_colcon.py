import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tdnet.version import __version__
from tools.harness.child_process import end_with_parent

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(
    shutil.which("colcon") is None or "AMENT_PREFIX_PATH" not in os.environ,
    reason="needs colcon and ROS 2: run it with `make test`",
)

# Runs in the shell of an installation, without access to the checkout and its overlay.
LOOK = """
from pathlib import Path
import tdnet, tdnet.version, tdnet_offline, tdnet_ros
from tdnet._util.resources import config_dir
from tdnet_ros.msg import ClassMap, SegmentationClass, SegmentationStatus
from ament_index_python.packages import get_package_share_directory
print(Path(tdnet_ros.__file__).parent)
print(config_dir())
print(get_package_share_directory("tdnet_ros"))
print(tdnet.version.__version__)
"""


def without_overlay() -> dict[str, str]:
    """Return the environment of the ROS 2 below the development overlay."""
    environment = dict(os.environ)
    for variable in ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "COLCON_PREFIX_PATH"):
        prefixes = environment.pop(variable, "").split(os.pathsep)
        kept = [p for p in prefixes if p and not (Path(p) / "share" / "tdnet_ros").exists()]
        if kept:
            environment[variable] = os.pathsep.join(kept)
    folders = environment.pop("PYTHONPATH", "").split(os.pathsep)
    kept = [p for p in folders if p and not (Path(p) / "tdnet_ros").exists()]
    environment["PYTHONPATH"] = os.pathsep.join(kept)
    # The virtual environment also has the command; the installation must provide it here.
    folders = environment["PATH"].split(os.pathsep)
    kept = [p for p in folders if not (Path(p).parent / "share" / "tdnet_ros").exists()]
    environment["PATH"] = os.pathsep.join(kept)
    return environment


def run(*command: str, cwd: Path = ROOT) -> str:
    answer = subprocess.run(
        command, cwd=cwd, env=without_overlay(), capture_output=True, text=True, timeout=300
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def build_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the messages are compiled once for both kinds of installation."""
    return tmp_path_factory.mktemp("build")


@pytest.fixture(scope="module", params=["plain", "symlink"])
def installation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, build_base: Path
) -> Path:
    """Build the checkout with `colcon build`; return the installation.

    The one with links comes last: CMake would go on making links.
    """
    folder = tmp_path_factory.mktemp(request.param)
    places = ["--build-base", str(build_base), "--install-base", str(folder / "install")]
    kind = ["--symlink-install"] if request.param == "symlink" else []
    # ament_cmake_python copies the packages here. A build with links cannot replace the copy.
    shutil.rmtree(build_base / "tdnet_ros/ament_cmake_python", ignore_errors=True)
    run("colcon", "--log-base", str(folder / "log"), "build", "--base-paths", ".", *places, *kind)
    return folder / "install"


def in_shell(installation: Path, command: str) -> str:
    return run("bash", "-c", f". '{installation}/local_setup.bash' && {command}", cwd=installation)


def test_colcon_takes_it_for_an_ament_cmake_package() -> None:
    assert run("colcon", "list", "--base-paths", ".").split() == [
        "tdnet_ros",
        ".",
        "(ros.ament_cmake)",
    ]


def test_an_installation_has_packages_messages_and_config(installation: Path) -> None:
    (installation / "look.py").write_text(LOOK)
    prefix = installation / "tdnet_ros"
    module, config, share, version = in_shell(installation, "python3 look.py").splitlines()
    assert prefix in Path(module).parents
    assert Path(config) == Path(module).with_name("tdnet") / "config"
    assert (Path(config) / "class_maps" / "cityscapes.yaml").is_file()
    assert Path(share) == prefix / "share" / "tdnet_ros"
    assert version == __version__
    assert (prefix / "share/tdnet_ros/package.xml").is_symlink() == ("symlink" in str(prefix))


@pytest.mark.parametrize(
    "name",
    [
        "launch/segment.launch.py",
        "config/segment.yaml",
        "config/segment.rviz",
        "config/fastdds_large_images.xml",
        "msg/SegmentationStatus.msg",
        "package.xml",
    ],
)
def test_an_installation_shares(installation: Path, name: str) -> None:
    assert (installation / "tdnet_ros" / "share" / "tdnet_ros" / name).is_file()


def test_the_installed_command_runs(installation: Path) -> None:
    prefix = installation / "tdnet_ros"
    assert in_shell(installation, "command -v tdnet").strip() == str(prefix / "bin" / "tdnet")
    assert in_shell(installation, "tdnet --help").startswith("usage: tdnet")


def test_the_installed_node_runs(installation: Path) -> None:
    executable = installation / "tdnet_ros" / "lib" / "tdnet_ros" / "segment_node"
    said = in_shell(installation, f"! '{executable}' --ros-args -p variant:=no-such-network 2>&1")
    assert "no-such-network" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_installed_node_from_its_first_moment(
    installation: Path, number: signal.Signals
) -> None:
    executable = installation / "tdnet_ros" / "lib" / "tdnet_ros" / "segment_node"
    command = f". '{installation}/local_setup.bash' && exec '{executable}'"
    process = subprocess.Popen(
        ["bash", "-c", command],
        env=without_overlay(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=end_with_parent,
    )
    status = Path(f"/proc/{process.pid}/status")
    end = time.monotonic() + 60
    # Until it handles signals, before it imports large modules.
    while not int(re.findall(r"SigCgt:\s*(\w+)", status.read_text())[0], 16) & 1 << 14:
        assert time.monotonic() < end
        time.sleep(0.002)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Traceback" not in said


def test_the_overlay_has_the_messages() -> None:
    from vision_msgs.msg import LabelInfo

    from tdnet_ros.msg import ClassMap, SegmentationClass, SegmentationStatus

    header = {"header": "std_msgs/Header"}
    assert LabelInfo.get_fields_and_field_types() == {
        **header,
        "class_map": "sequence<vision_msgs/VisionClass>",
        "threshold": "float",
    }
    assert ClassMap.get_fields_and_field_types() == {
        **header,
        "name": "string",
        "classes": "sequence<tdnet_ros/SegmentationClass>",
    }
    assert SegmentationClass.get_fields_and_field_types() == {
        "id": "uint8",
        "name": "string",
        "color": "std_msgs/ColorRGBA",
        "hidden": "boolean",
    }
    status = SegmentationStatus.get_fields_and_field_types()
    assert status["header"] == "std_msgs/Header"
    assert {name for name, kind in status.items() if kind == "uint64"} == {
        "received",
        "segmented",
        "dropped",
        "refused",
    }
    assert all(status[name] == "float" for name in status if name.endswith("_ms"))
