"""Settings and fixtures of all tests."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import torch
from support.extras import exporting_package
from support.ros_domain import enter_free_domain

from tools.harness.ros_environment import remove_orphans

if TYPE_CHECKING:
    from support.ros_graph import RosGraph

# The time of an example depends more on the machine than on the code.
hypothesis.settings.register_profile("tdnet", deadline=None, print_blob=True)
hypothesis.settings.load_profile("tdnet")

EXPORT_SIZE = (65, 129)
"""Height and width of the frames of `exported_nano`."""


def pytest_sessionstart(session: pytest.Session) -> None:
    """Enter a ROS domain; free what killed runs left; keep exported networks between runs."""
    enter_free_domain()
    remove_orphans()
    os.environ["XDG_CACHE_HOME"] = str(session.config.rootpath / ".pytest_cache/user")


def pytest_collection_finish() -> None:
    """Keep what is imported from the garbage collector, as the node's process does.

    A full collection takes 0.1 to 0.3 s with it, and nearly nothing without; each test of a ROS
    graph needs several, since the middleware removes a node only once nothing refers to it.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def ros() -> Iterator[None]:
    """ROS, in the domain of this run."""
    import rclpy

    rclpy.init(args=[])
    yield
    rclpy.shutdown()


@pytest.fixture
def graph(ros: None) -> Iterator[RosGraph]:
    """A graph without the node under test."""
    from support.ros_graph import RosGraph

    graph = RosGraph()
    yield graph
    graph.close()


@pytest.fixture(scope="session")
def exported_nano() -> Path:
    """Export a network of four paths for small frames with `tdnet export`.

    The runs of a checkout share it, since no other fixture takes as long.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        exporting_package(package)
    from support.nano import nano_weights
    from support.shared_files import shared_file

    from tdnet_offline.command import main

    size = [str(side) for side in EXPORT_SIZE]

    def export(folder: Path) -> None:
        options = ["--weights", nano_weights(), "--input-size", *size, "--output", str(folder)]
        assert main(["export", *options]) == 0

    return shared_file("nano", export)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests that need a GPU if there is none; `pytest -m cuda` selects them."""
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs a CUDA GPU: run `make test ARGS='-m cuda'` on one")
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(skip)
