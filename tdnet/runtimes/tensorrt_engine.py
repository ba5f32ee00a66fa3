"""TensorRT engines: built from ONNX files once for each GPU, and kept.

Written against the documented Python API of TensorRT 10 and 11. Networks are strongly typed, the
only kind that 11 has: a graph computes in the numbers that it was exported in.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tdnet.errors import DeviceError, WeightsError
from tdnet.packages import require

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


def cached_engine_path(graph_sha256: str, gpu: str, capability: str, version: str) -> Path:
    """Where an engine is kept: another graph, GPU or version of TensorRT has another place.

    Args:
        graph_sha256: of the ONNX file.
        gpu: name of the GPU.
        capability: its compute capability, such as ``8.7``.
        version: of TensorRT.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    where = re.sub(r"[^A-Za-z0-9.]+", "-", f"{gpu} {capability}")
    return cache / "tdnet" / "tensorrt" / f"{where}-{version}-{graph_sha256}.engine"


def load_or_build(runtime: ModuleType, graph: Path, kept: Path) -> Any:  # noqa: ANN401
    """Give the engine of a graph on the current CUDA device, from where it is kept if it is.

    Args:
        runtime: the module `tensorrt`.
        graph: ONNX file.
        kept: the engine's file.

    Raises:
        WeightsError: TensorRT cannot make an engine of the graph.
        DeviceError: it cannot load the engine that it has just made.
    """
    log = runtime.Logger(runtime.Logger.WARNING)
    loader = runtime.Runtime(log)
    if kept.is_file():
        engine = loader.deserialize_cuda_engine(kept.read_bytes())
        if engine is not None:
            return engine
        logger.warning("%s cannot be used and is built anew", kept)
    logger.warning("TensorRT builds an engine of %s, which takes minutes the first time", graph)
    plan = bytes(_build(runtime, log, graph))
    keep(plan, kept)
    engine = loader.deserialize_cuda_engine(plan)
    if engine is None:
        raise DeviceError(f"TensorRT cannot load the engine that it made of {graph}")
    return engine


def keep(plan: bytes, path: Path) -> None:
    """Write an engine for the next start, whole or not at all; only the user may read it.

    Where that is not possible the log says so, and the next start builds it again.
    """
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial.touch(mode=0o600)
        partial.write_bytes(plan)
        partial.replace(path)
    except OSError as error:
        logger.warning("%s: the engine is not kept (%s)", path, error.strerror)
        if partial.exists():
            partial.unlink()


def _build(runtime: ModuleType, log: Any, graph: Path) -> Any:  # noqa: ANN401
    builder = runtime.Builder(log)
    typed = 1 << int(runtime.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(typed)
    parser = runtime.OnnxParser(network, log)
    if not parser.parse(graph.read_bytes()):
        reasons = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
        raise WeightsError(f"{graph}: TensorRT {runtime.__version__} cannot read it: {reasons}")
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    for tensor in (network.get_input(i) for i in range(network.num_inputs)):
        if any(side < 0 for side in tensor.shape):
            one = tuple(1 if side < 0 else side for side in tensor.shape)
            profile.set_shape(tensor.name, one, one, one)
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise WeightsError(
            f"{graph}: TensorRT {runtime.__version__} cannot build an engine of it; its log says "
            "why"
        )
    return plan
