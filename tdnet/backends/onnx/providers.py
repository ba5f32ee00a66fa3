"""The execution providers of ONNX Runtime: a row each, with device, precisions and options."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tdnet._util.device import computes_bfloat16, resolve_device
from tdnet._util.packages import require
from tdnet.errors import DeviceError, InputError, UnknownNameError

if TYPE_CHECKING:
    from types import ModuleType

Choice = tuple[str, Mapping[str, str]]
"""An execution provider and its options, as ONNX Runtime takes them."""


@dataclass(frozen=True)
class Session:
    """What the options of a provider depend on.

    Attributes:
        device: of frames, memory and logits.
        precision: that the provider computes in.
        cache: returns the folder for what the provider compiles.
        stream: CUDA stream of the work; None on a CPU.
    """

    device: torch.device
    precision: str
    cache: Callable[[], Path]
    stream: torch.cuda.Stream | None


@dataclass(frozen=True)
class Provider:
    """An execution provider.

    Attributes:
        name: as users type it.
        execution_provider: its name in ONNX Runtime.
        device_type: of frames, memory and logits.
        graphs: precision of the graph by the precision that it computes in.
        packages: what to install.
        choices: returns the provider and those that run what it cannot, for a session.
    """

    name: str
    execution_provider: str
    device_type: str
    graphs: Mapping[str, str]
    packages: str
    choices: Callable[[Session], list[Choice]]

    @property
    def is_installed(self) -> bool:
        """Whether the installed ONNX Runtime has the provider."""
        return self.execution_provider in import_onnxruntime().get_available_providers()

    def resolve(self, precision: str) -> str:
        """Return the precision of a name; ``"auto"`` is the fastest one that keeps the labels.

        Raises:
            InputError: the provider does not compute in it, or this processor does not.
        """
        if precision == "auto":
            if self.device_type == "cuda":
                return "float16"
            faster = "bfloat16" in self.graphs and computes_bfloat16()
            return "bfloat16" if faster else "float32"
        if precision not in self.graphs:
            raise InputError(
                f"precision is {precision}; provider {self.name} allows auto, "
                f"{', '.join(self.graphs)}"
            )
        if precision == "bfloat16" and not computes_bfloat16():
            raise InputError(
                "precision is bfloat16, which this processor has no instructions for: use auto "
                "or float32"
            )
        return precision


def _cpu(session: Session) -> list[Choice]:
    return [("CPUExecutionProvider", {})]


def _openvino(session: Session) -> list[Choice]:
    of_device = {
        "INFERENCE_PRECISION_HINT": "bf16" if session.precision == "bfloat16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(torch.get_num_threads()),
        # The node shares the processor: fixed cores may be those of other programs.
        "ENABLE_CPU_PINNING": "NO",
        "CACHE_DIR": str(session.cache()),
    }
    if session.precision == "bfloat16" and torch.get_num_threads() == 1:
        # OpenVINO 2025.4 mixes float32 and bfloat16 when it fuses attention for one thread, and
        # then refuses the graph. Without this fusion a frame takes as long.
        of_device["SNIPPETS_MODE"] = "DISABLE"
    options = {"device_type": "CPU", "load_config": json.dumps({"CPU": of_device})}
    return [("OpenVINOExecutionProvider", options)]


def _cuda(session: Session) -> list[Choice]:
    assert session.stream is not None
    options = {
        "device_id": str(session.device.index or 0),
        "user_compute_stream": str(session.stream.cuda_stream),
    }
    return [("CUDAExecutionProvider", options)]


def _tensorrt(session: Session) -> list[Choice]:
    on_cuda = _cuda(session)
    with suppress(ImportError):
        import_module("tensorrt")  # loads the libraries of its wheel
    folder = str(session.cache())
    options = {
        **on_cuda[0][1],
        "trt_fp16_enable": str(session.precision == "float16"),
        "trt_int8_enable": str(session.precision.startswith("int8")),
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": folder,
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": folder,
    }
    return [("TensorrtExecutionProvider", options), *on_cuda]


_ON_CPU = {"float32": "float32", "float16": "float16", "int8": "int8"}
_ON_GPU = {"float16": "float16", "float32": "float32"}
_PROVIDERS = (
    Provider(
        "openvino",
        "OpenVINOExecutionProvider",
        "cpu",
        {**_ON_CPU, "bfloat16": "float32"},
        "onnxruntime-openvino",
        _openvino,
    ),
    Provider("cpu", "CPUExecutionProvider", "cpu", _ON_CPU, "onnxruntime", _cpu),
    Provider(
        "tensorrt",
        "TensorrtExecutionProvider",
        "cuda",
        {**_ON_GPU, "int8-tensorrt": "int8-tensorrt"},
        "onnxruntime-gpu tensorrt",
        _tensorrt,
    ),
    Provider("cuda", "CUDAExecutionProvider", "cuda", _ON_GPU, "onnxruntime-gpu", _cuda),
)
"""The best of a device first."""
BY_NAME = {provider.name: provider for provider in _PROVIDERS}


def candidates(name: str, device: str) -> Iterator[tuple[Provider, torch.device]]:
    """Yield the providers that may run a network, the best first, each with its device.

    Args:
        name: of the provider; ``"auto"``: all that are installed for the device.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...

    Raises:
        MissingPackageError: onnxruntime is not installed.
        UnknownNameError: no provider has that name.
        DeviceError: the machine lacks the device, the provider is not installed, or it does not
            run on the device.
    """
    if name != "auto":
        if name not in BY_NAME:
            raise UnknownNameError("provider", name, ["auto", *BY_NAME])
        provider = BY_NAME[name]
        if not provider.is_installed:
            version = import_onnxruntime().__version__
            raise DeviceError(
                f"ONNX Runtime {version} is installed without provider {name}: pip uninstall "
                f"onnxruntime; pip install {provider.packages}; or set provider to auto"
            )
        found = resolve_device(provider.device_type if device == "auto" else device)
        if found.type != provider.device_type:
            raise DeviceError(
                f"provider {name} runs on {provider.device_type}, device is {device}: set device "
                "or provider to auto"
            )
        yield provider, found
        return
    found = resolve_device(device)
    installed = [row for row in _PROVIDERS if row.is_installed]
    fitting = [row for row in installed if row.device_type == found.type]
    if not fitting and device == "auto":
        found = torch.device("cpu")
        fitting = [row for row in installed if row.device_type == "cpu"]
    if not fitting:
        raise DeviceError(
            f"device {device}: ONNX Runtime {import_onnxruntime().__version__} is installed "
            f"without a provider for it: pip uninstall onnxruntime; pip install "
            f"{BY_NAME['cuda'].packages}; or use device cpu"
        )
    for provider in fitting:
        yield provider, found


def import_onnxruntime() -> ModuleType:
    """Import ONNX Runtime.

    Raises:
        MissingPackageError: it is not installed.
    """
    return require(
        "onnxruntime",
        "runtime onnxruntime",
        install="pip install onnxruntime-openvino, or onnxruntime-gpu for CUDA",
    )
