"""TensorRT's documented interface, as far as it stands before any GPU: nothing is computed.

An "engine" holds the ONNX file that it was built from, and has the tensors of that file. Names and
answers are those of the Python API of TensorRT 10: what fails gives None or false, or raises the
TypeError of its binding.
"""

from __future__ import annotations

from enum import Enum
from types import ModuleType
from typing import Any

import onnx

_PLAN = b"plan of "


class DataType(Enum):
    """Number types, by the numbers of ONNX."""

    FLOAT = onnx.TensorProto.FLOAT
    HALF = onnx.TensorProto.FLOAT16
    UINT8 = onnx.TensorProto.UINT8


class NetworkDefinitionCreationFlag(int, Enum):
    """What kind of network is built."""

    STRONGLY_TYPED = 1


class Tensor:
    """An input or output: open sides are -1."""

    def __init__(self, info: onnx.ValueInfoProto) -> None:
        kind = info.type.tensor_type
        self.name, self.dtype = info.name, DataType(kind.elem_type)
        self.shape = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim)


class Context:
    """Takes the addresses of an engine's tensors."""

    def __init__(self, engine: Engine) -> None:
        self._names = {tensor.name for tensor in engine.tensors}

    def set_tensor_address(self, name: str, address: int) -> bool:
        return name in self._names and address != 0


class Engine:
    """Has the tensors of an ONNX file."""

    def __init__(self, graph: bytes, *, memory: bool) -> None:
        model = onnx.load_from_string(graph).graph
        self.tensors = [Tensor(info) for info in (*model.input, *model.output)]
        self.num_io_tensors = len(self.tensors)
        self._memory = memory

    def get_tensor_name(self, index: int) -> str:
        return self.tensors[index].name

    def _tensor(self, name: str) -> Tensor:
        return next(tensor for tensor in self.tensors if tensor.name == name)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._tensor(name).shape

    def get_tensor_dtype(self, name: str) -> DataType:
        return self._tensor(name).dtype

    def create_execution_context(self) -> Context | None:
        return Context(self) if self._memory else None


class OnnxParser:
    """Reads a file into a network."""

    def __init__(self, network: Network, log: object) -> None:
        self._network, self.num_errors = network, 0

    def parse(self, graph: bytes) -> bool:
        try:
            self._network.read(graph)
        except Exception:
            self.num_errors = 1
        return not self.num_errors

    def get_error(self, index: int) -> Any:
        error = ModuleType("error")
        error.desc = lambda: "not an ONNX model"  # type: ignore[attr-defined]
        return error


class Network:
    """What a parser reads a file into."""

    def __init__(self, flags: int) -> None:
        self.flags, self.graph = flags, b""

    def read(self, graph: bytes) -> None:
        onnx.load_from_string(graph)
        self.graph = graph


def tensorrt(*, version: str = "10.3.0", driver: bool = True, memory: bool = True) -> ModuleType:
    """Give the module; `built` of it lists the graphs that engines were built of.

    Args:
        version: of TensorRT.
        driver: whether the GPU's driver fits.
        memory: whether the device has memory left for contexts.
    """
    module: Any = ModuleType("tensorrt")
    built: list[bytes] = []

    class Logger:
        WARNING = 1

        def __init__(self, level: int) -> None:
            assert level == self.WARNING

    class Made:
        def __init__(self, log: Logger) -> None:
            assert isinstance(log, Logger)
            if not driver:
                raise TypeError("pybind11::init(): factory function returned nullptr")

    class Runtime(Made):
        def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
            if not plan.startswith(_PLAN):
                return None
            return Engine(plan.removeprefix(_PLAN), memory=memory)

    class Builder(Made):
        create_network = staticmethod(Network)
        create_builder_config = staticmethod(object)

        def build_serialized_network(self, network: Network, config: object) -> bytes | None:
            if network.flags != 1 << 1:
                return None
            built.append(network.graph)
            return _PLAN + network.graph

    for part in (Logger, Runtime, Builder, OnnxParser, DataType, NetworkDefinitionCreationFlag):
        setattr(module, part.__name__, part)
    module.__version__, module.built = version, built
    return module
