"""ONNX files of other projects: read them with their data, and append nodes to their graphs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from tdnet._util.regular_files import file_problem
from tdnet.backends.onnx.description import MAX_GRAPH_BYTES
from tdnet.errors import WeightsError, first_line

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

Array = npt.NDArray[Any]

_LEAST_OPSET = 7
"""Before it, operators repeated their inputs by other rules, and ONNX Runtime promises less."""


class NodeChain:
    """Nodes that follow each other, from a tensor of a graph to another one."""

    def __init__(self, graph: GraphProto, start: str, end: str) -> None:
        from onnx import helper, numpy_helper

        self._graph, self._at, self._end = graph, start, end
        self._nodes: list[Any] = []
        self._make: Callable[..., Any] = helper.make_node
        self._tensor: Callable[..., Any] = numpy_helper.from_array

    def add(self, operator: str, constant: Array | None = None, **attributes: Any) -> None:  # noqa: ANN401
        """Append a node; a constant is its second input."""
        name = f"{self._end}/{len(self._nodes)}"
        inputs = [self._at]
        if constant is not None:
            inputs.append(f"{name}/constant")
            self._graph.initializer.append(self._tensor(constant, inputs[1]))
        self._nodes.append(self._make(operator, inputs, [name], name=name, **attributes))
        self._at = name

    def finished(self) -> list[Any]:
        """Return the nodes; the last one writes the tensor of the end."""
        if not self._nodes:
            self.add("Identity")
        self._nodes[-1].output[0] = self._end
        return self._nodes


def read_model(file: Path) -> ModelProto:
    """Read a graph with its external data.

    Raises:
        WeightsError: it cannot be read.
    """
    import onnx
    from google.protobuf.message import DecodeError
    from onnx.external_data_helper import load_external_data_for_model

    problem = file_problem(file, MAX_GRAPH_BYTES)
    if problem:
        raise WeightsError(f"{file}: {problem}; give an ONNX file")
    try:
        model = onnx.load_model(file, load_external_data=False)
    except DecodeError as error:
        raise WeightsError(f"{file}: is no ONNX graph") from error
    if not model.graph.node or not model.opset_import:
        raise WeightsError(f"{file}: is no ONNX graph")
    if opset_of(model) < _LEAST_OPSET:
        raise WeightsError(
            f"{file} has opset {opset_of(model)}; allowed are {_LEAST_OPSET} and later: export "
            "the network again"
        )
    try:
        load_external_data_for_model(model, str(file.parent))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise WeightsError(
            f"{file}: its external data cannot be read: {first_line(error)}; copy the data files "
            "beside the graph"
        ) from error
    if model.ByteSize() >= MAX_GRAPH_BYTES:
        raise WeightsError(
            f"{file} has {model.ByteSize()} bytes with its data; allowed are {MAX_GRAPH_BYTES}"
        )
    return model


def opset_of(model: ModelProto) -> int:
    """Return the version of the standard operators."""
    versions = [own.version for own in model.opset_import if own.domain in ("", "ai.onnx")]
    return int(max(versions, default=_LEAST_OPSET))
