import ast
import configparser
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tdnet._util.resources import config_dir
from tdnet.version import __version__

ROOT = Path(__file__).parents[1]
PACKAGES = ("tdnet", "tdnet_ros", "tdnet_offline")
TDNET_NEEDS = {"cv2", "numpy", "safetensors", "torch", "yaml"}
# Optional imports: runtimes; Triton is part of PyTorch for CUDA.
TDNET_MAY_USE = {"onnxruntime", "onnx_ir", "triton"}
# Modules with this ending are imported only if Triton is installed.
NEEDS_TRITON = "_program"
# rclpy represents ROS, the others must not be needed to import a package.
FORBIDDEN = {
    "tdnet": {
        *("rclpy", "tdnet_ros", "tdnet_offline", "rosbags", "av", "rich", "triton"),
        *("onnxruntime", "onnx_ir", "onnxscript"),
    },
    "tdnet_offline": {"rclpy", "tdnet_ros", "onnxscript"},
    "tdnet_ros": {"tdnet_offline", "rosbags", "av", "rich"},
}

# A new interpreter runs it; argv: the package to import, then the blocked ones.
IMPORT_ALL = """
import importlib, pkgutil, sys

package, *blocked = sys.argv[1:]

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Block())
for name in blocked:
    try:
        importlib.import_module(name)
    except ImportError:
        continue
    raise SystemExit(f"{name} could be imported")

def report(name):
    raise

root = importlib.import_module(package)
for module in pkgutil.walk_packages(root.__path__, f"{package}.", onerror=report):
    if not module.name.startswith("tdnet_ros.msg.") and not module.name.endswith("_program"):
        importlib.import_module(module.name)
        print(module.name)
"""


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported_packages(path: Path) -> Iterator[str]:
    """Return the top-level packages that a module imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0]


def test_version_copies_agree() -> None:
    assert ElementTree.parse(ROOT / "package.xml").findtext("version") == __version__


def test_setup_reads_the_version() -> None:
    answer = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert answer.stdout.split()[-1:] == [__version__], answer.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_imports_without_what_it_must_not_need(package: str) -> None:
    if package == "tdnet_ros":
        pytest.importorskip("rclpy", reason="needs ROS 2: run it with `make test`")
    answer = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, package, *sorted(FORBIDDEN[package])],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    found = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in modules(package)
        if not path.stem.endswith(NEEDS_TRITON)
    }
    assert set(answer.stdout.split()) >= found - {package}
    assert len(found) > 1


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_names_what_its_package_must_not_import(package: str) -> None:
    # A function may import tools that importing the package does not need.
    never = FORBIDDEN[package] & {"rclpy", *PACKAGES}
    wrong = {
        str(path.relative_to(ROOT)): names
        for path in modules(package)
        if (names := never & set(imported_packages(path)))
    }
    assert wrong == {}


def test_tdnet_names_its_few_dependencies_only() -> None:
    names = {name for path in modules("tdnet") for name in imported_packages(path)}
    assert names - set(sys.stdlib_module_names) <= TDNET_NEEDS | TDNET_MAY_USE | {"tdnet"}


def test_every_dependency_of_tdnet_is_declared() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    distributions = {
        re.split(r"[<>=!~ ]", line)[0] for line in setup["options"]["install_requires"].split()
    }
    modules_of = {"opencv-python-headless": "cv2", "PyYAML": "yaml"}
    assert {modules_of.get(name, name) for name in distributions} == TDNET_NEEDS


def test_config_dir_of_a_source_tree() -> None:
    assert (config_dir() / "class_maps" / "cityscapes.yaml").is_file()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel with pip into an empty folder; return the folder."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "setup.cfg", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in (*PACKAGES, "config"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    wheels, folder = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    answer = subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(source)],
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    (wheel,) = wheels.glob("*.whl")
    assert wheel.name.startswith(f"tdnet_ros-{__version__}-")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def test_a_wheel_has_the_same_files(installed: Path) -> None:
    def files(folder: Path) -> set[str]:
        paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return {str(path) for path in paths if "__pycache__" not in path.parts}

    assert files(installed / "tdnet" / "config") == files(ROOT / "config")
    for package in PACKAGES:
        missing = files(ROOT / package) - files(installed / package)
        assert missing == set()


def test_config_dir_of_an_installation(installed: Path) -> None:
    answer = subprocess.run(
        [
            sys.executable,
            "-c",
            "from tdnet._util.resources import config_dir; print(config_dir())",
        ],
        cwd=installed,
        env={"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert Path(answer.stdout.strip()) == installed / "tdnet" / "config", answer.stderr


def test_a_wheel_has_the_command(installed: Path) -> None:
    (entry_points,) = installed.glob("*.dist-info/entry_points.txt")
    assert "tdnet = tdnet_offline.command:main" in entry_points.read_text()
