"""The node does not hide by accident what rclpy's nodes have, on any distribution."""

from __future__ import annotations

import ast
import inspect

import pytest
from rclpy.lifecycle import LifecycleNode
from support.ros_graph import RosGraph

from tdnet_ros.segment_node import SegmentNode

pytestmark = pytest.mark.distribution

# Of rclpy's private names those that later distributions than Humble have no more.
HUMBLE = {"_parameters_callbacks", "_set_parameters"}
MEANT = {
    *("__init__", "destroy_node", "on_configure", "on_activate", "on_deactivate"),
    *("on_cleanup", "on_shutdown", "on_error"),
    *("set_parameters", "set_parameters_atomically"),
}


def own_names() -> set[str]:
    """Methods of the class, and attributes that they set."""
    tree = ast.parse(inspect.getsource(SegmentNode))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = {node.name for node in ast.walk(tree) if isinstance(node, functions)}
    stored = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute)]
    return names | {
        node.attr
        for node in stored
        if isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
    }


def test_only_what_is_meant_is_overridden(graph: RosGraph) -> None:
    plain = LifecycleNode("plain")
    inherited = {*dir(plain), *HUMBLE}
    plain.destroy_node()
    assert {"_apply_parameters", "_model"} <= own_names()
    assert own_names() & inherited == MEANT
