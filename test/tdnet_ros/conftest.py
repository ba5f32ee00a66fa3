"""A small model, and the node with it in the graph of a test or as a process."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from support.node_process import NodeProcess, start_node
from support.ros_graph import RosGraph, wait_for
from support.small_weights import small_weights
from support.stuck_network import StuckNetwork

from tdnet import SegmenterSettings, StreamingSegmenter


@pytest.fixture(scope="session", autouse=True)
def frozen(loaded_segmenter: StreamingSegmenter) -> None:
    """Keep what a first frame imports from the garbage collector, as at the end of collection."""
    loaded_segmenter.step(np.zeros((72, 120, 3), np.uint8))
    gc.collect()
    gc.freeze()


@pytest.fixture
def three_threads() -> Iterator[None]:
    """PyTorch with three threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def weights() -> str:
    """Weights that give every class somewhere, of a network small enough for many tests."""
    return str(small_weights())


@pytest.fixture(scope="session")
def loaded_segmenter(weights: str) -> StreamingSegmenter:
    """The model of the node, loaded once for all tests."""
    return SegmenterSettings(weights=weights, device="cpu", runtime="torch").build()


@pytest.fixture
def segmenter(loaded_segmenter: StreamingSegmenter) -> StreamingSegmenter:
    """The model of the node, driven directly, with an empty memory."""
    loaded_segmenter.reset()
    return loaded_segmenter


@pytest.fixture
def start_process(ros: None) -> Iterator[Callable[..., NodeProcess]]:
    """Starts the node under test as a process, with ROS arguments; it ends with the test."""
    processes: list[NodeProcess] = []

    def start(*arguments: str) -> NodeProcess:
        processes.append(start_node(*arguments))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def stuck() -> Iterator[StuckNetwork]:
    """Every network of the node, stuck from its first frame."""
    stuck = StuckNetwork()
    hook = torch.nn.modules.module.register_module_forward_pre_hook(stuck)
    yield stuck
    stuck.release.set()
    hook.remove()


@pytest.fixture
def active(graph: RosGraph, weights: str) -> RosGraph:
    """A graph with the node under test, active, one camera."""
    graph.start(weights=weights, device="cpu")
    wait_for(lambda: graph.state() == "active", "the node to be active")
    return graph


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests with `shared_active` last of their file: it stays until the file ends."""
    files = {path: number for number, path in enumerate(dict.fromkeys(i.path for i in items))}
    items.sort(key=lambda i: (files[i.path], "shared_active" in getattr(i, "fixturenames", ())))


@pytest.fixture(scope="module")
def shared_active(ros: None, weights: str) -> Iterator[RosGraph]:
    """As `active`, for tests that leave the node as it was; the last ones of their file.

    Two nodes of one name would both answer.
    """
    graph = RosGraph()
    graph.start(weights=weights, device="cpu")
    wait_for(lambda: graph.state() == "active", "the node to be active")
    yield graph
    graph.close()


@pytest.fixture(scope="session")
def images() -> list[np.ndarray]:
    """Frames of one view, (H, W, 3) uint8 RGB."""
    random = np.random.default_rng(3)
    base = random.integers(0, 255, (12, 20, 3), np.uint8).repeat(6, 0).repeat(6, 1)
    return [np.ascontiguousarray(np.roll(base, 3 * i, axis=1)) for i in range(10)]
