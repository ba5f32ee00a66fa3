"""TensorRT engines, built from ONNX files once for each GPU.

This uses the documented Python API of TensorRT 10 and 11. Networks are strongly typed, the only
kind in version 11: a graph computes in the number formats of its export.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from tdnet._util.packages import require
from tdnet.backends.onnx.description import ExportDescription
from tdnet.backends.onnx.engine_files import keep, read_kept
from tdnet.backends.onnx.tensors import TensorSpec, check_graph
from tdnet.errors import DeviceError, WeightsError

if TYPE_CHECKING:
    from types import ModuleType

logger = logging.getLogger(__name__)


def import_tensorrt() -> ModuleType:
    """Import TensorRT.

    Raises:
        MissingPackageError: it is not installed, or older than 10.
    """
    return require(
        "tensorrt",
        "runtime tensorrt",
        least="10",
        install='pip install "tensorrt>=10"; on a Jetson it comes with JetPack 6.1 or later, and '
        "a virtual environment must be made with --system-site-packages",
    )


class EngineBuilder:
    """Creates the execution contexts of graphs on the current CUDA device.

    Args:
        tensorrt: module of TensorRT.
        description: description of the graphs.

    Raises:
        DeviceError: TensorRT cannot use the GPU.
    """

    def __init__(self, tensorrt: ModuleType, description: ExportDescription) -> None:
        self._tensorrt = tensorrt
        self._description = description
        self._log = tensorrt.Logger(tensorrt.Logger.WARNING)
        self._loader = self._created(tensorrt.Runtime)
        numbers = tensorrt.DataType
        self._names = {numbers.FLOAT: "float32", numbers.HALF: "float16"}

    def context(self, data: bytes, graph: Path, kept: Path) -> Any:  # noqa: ANN401
        """Create the execution context of a graph, and set its input shapes.

        Args:
            data: content of the ONNX file.
            graph: path of the file, for messages.
            kept: cache file of the engine; written if there is no usable one.

        Raises:
            WeightsError: TensorRT cannot build an engine of the graph, or its tensors do not
                match the description.
            DeviceError: the device lacks memory, or TensorRT cannot use the GPU.
        """
        plan = read_kept(kept)
        if plan is not None:
            try:
                return self._open(plan, graph)
            except WeightsError as error:
                logger.warning("%s cannot be used and is built anew (%s)", kept, error)
        logger.warning("TensorRT builds an engine of %s, which takes minutes", graph)
        plan = bytes(self._build(data, graph))
        keep(plan, kept)
        return self._open(plan, graph)

    def _open(self, plan: bytes, graph: Path) -> Any:  # noqa: ANN401
        engine = self._loader.deserialize_cuda_engine(plan)
        if engine is None:
            raise WeightsError(f"{graph}: TensorRT cannot load its engine; its log says why")
        context = engine.create_execution_context()
        if context is None:
            raise DeviceError(
                f"{graph}: TensorRT cannot make a context of its engine, most likely for lack of "
                "device memory: a smaller --input-size or another variant may help"
            )
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        tensors = [self._tensor(engine, name) for name in names]
        check_graph(graph, tensors, (*self._description.inputs, *self._description.outputs))
        return context

    def _tensor(self, engine: Any, name: str) -> TensorSpec:  # noqa: ANN401
        shape = tuple(int(side) for side in engine.get_tensor_shape(name))
        number = engine.get_tensor_dtype(name)
        return TensorSpec(name, shape, self._names.get(number, str(number)))

    def _build(self, data: bytes, graph: Path) -> Any:  # noqa: ANN401
        tensorrt = self._tensorrt
        builder = self._created(tensorrt.Builder)
        typed = 1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        network = builder.create_network(typed)
        parser = tensorrt.OnnxParser(network, self._log)
        if not parser.parse(data):
            reasons = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
            raise WeightsError(
                f"{graph}: TensorRT {tensorrt.__version__} cannot read it: {reasons}"
            )
        plan = builder.build_serialized_network(network, builder.create_builder_config())
        if plan is None:
            raise WeightsError(
                f"{graph}: TensorRT {tensorrt.__version__} cannot build an engine of it; its log "
                "says why"
            )
        return plan

    def _created(self, kind: Any) -> Any:  # noqa: ANN401
        try:
            return kind(self._log)
        # The binding raises TypeError if the library returned no object.
        except TypeError as error:
            raise DeviceError(
                f"TensorRT {self._tensorrt.__version__} cannot use the GPU: most likely the "
                "driver is too old for its CUDA; install the TensorRT made for yours, or set "
                "runtime to onnxruntime"
            ) from error


def bind(context: Any, tensors: Mapping[str, Tensor]) -> None:  # noqa: ANN401
    """Set the addresses of the tensors of a context.

    Raises:
        DeviceError: TensorRT refuses an address.
    """
    for name, tensor in tensors.items():
        if not context.set_tensor_address(name, tensor.data_ptr()):
            raise DeviceError(f"TensorRT does not take the address of {name}; its log says why")
