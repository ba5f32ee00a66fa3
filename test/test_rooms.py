"""The order of the rooms: a module imports from its own and from lower rooms only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS: dict[str, tuple[str, ...]] = {
    "tdnet": (
        "version",
        "errors",
        "_util",
        "backbones",
        "variants",
        "class_map",
        "overlay",
        "frames",
        "network",
        "checkpoints",
        "backends",
        "continuity",
        "mailbox",
        "segmenter",
        "settings",
        "",
    ),
    "tdnet_ros": (
        "",
        "params_file",
        "nav2_layer",
        "rclpy_tools",
        "parameter_values",
        "parameter_groups",
        "parameters",
        "rviz_config",
        "node_parameters",
        "process",
        "model",
        "capture",
        "camera",
        "diagnostics",
        "segment_node",
    ),
    "tdnet_offline": (
        "",
        "arguments",
        "provenance",
        "writers",
        "bags",
        "damage",
        "operations",
        "street",
        "frames",
        "cityscapes_layout",
        "street_bag",
        "export",
        "datasets",
        "prediction",
        "progress",
        "evaluation",
        "extraction",
        "report",
        "training",
        "benchmark",
        "commands",
        "command",
    ),
}
"""By package, from the lowest to the highest; the empty name is the package's `__init__`."""


def modules(package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        yield ".".join(path.relative_to(ROOT).with_suffix("").parts), path


def imported(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, also inside functions and for type checking."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            folder = ROOT.joinpath(*module.split("."))
            for name in node.names:  # may be a module of a package
                is_module = (folder / name.name).is_dir() or (folder / f"{name.name}.py").is_file()
                yield f"{module}.{name.name}" if is_module else module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def room(module: str) -> str:
    """Return the part after the package."""
    name = module.split(".")[1] if "." in module else ""
    return "" if name == "__init__" else name


@pytest.mark.parametrize("package", ROOMS)
def test_every_module_is_in_a_room(package: str) -> None:
    assert {room(name) for name, _ in modules(package)} == set(ROOMS[package])


@pytest.mark.parametrize(
    ("module", "path"),
    [pytest.param(*pair, id=pair[0]) for package in ROOMS for pair in modules(package)],
)
def test_imports_go_down(module: str, path: Path) -> None:
    package = module.split(".")[0]
    order = ROOMS[package]
    for name in imported(path):
        # `tdnet_ros.msg` is generated.
        if name.split(".")[0] == package and not name.startswith("tdnet_ros.msg"):
            assert order.index(room(name)) <= order.index(room(module)), f"{module}: {name}"
