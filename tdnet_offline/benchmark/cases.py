"""The cases of a benchmark: every variant with every size, device, runtime and precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tdnet._util.device import computes_bfloat16, resolve_device, resolve_precision
from tdnet.backends import ONNXRUNTIME, PROVIDERS, TORCH
from tdnet.backends.onnx.export import check_packages
from tdnet.backends.onnx.providers import Provider, candidates
from tdnet.errors import DeviceError, InputError, UnknownNameError
from tdnet.variants import ADOPTED, get_variant
from tdnet_offline.operations import count_operations

Size = tuple[int, int]

INT8, INT8_TENSORRT = "int8", "int8-tensorrt"
RUNTIMES = (TORCH, ONNXRUNTIME, *(f"{ONNXRUNTIME}:{name}" for name in PROVIDERS[1:]))
"""Names of the option: a runtime, or ONNX Runtime with a provider."""


@dataclass(frozen=True)
class BenchmarkCase:
    """A network at one size on one device in one runtime, and the precisions to measure.

    Attributes:
        variant: name of the network.
        input_size: height and width of its input.
        device: such as ``cpu``.
        precisions: names, without ``auto``.
        runtime: name in `RUNTIMES`.
    """

    variant: str
    input_size: Size
    device: str
    precisions: tuple[str, ...]
    runtime: str = TORCH


def plan(
    variants: Sequence[str],
    input_sizes: Sequence[Size],
    devices: Sequence[str],
    precisions: Sequence[str],
    runtimes: Sequence[str] = (TORCH,),
) -> list[BenchmarkCase]:
    """Combine the choices, each once, and check them before any measurement.

    Args:
        variants: names; ``adopted`` with the input size of its folder.
        input_sizes: heights and widths; empty: the native size of each variant.
        devices: names.
        precisions: names; each runtime uses those that it supports. Empty: all that are useful on
            the device.
        runtimes: names.

    Raises:
        UnknownNameError: a variant, precision or runtime is unknown.
        DeviceError: a device does not exist, or a runtime supports none of the devices.
        MissingPackageError: a runtime or its export packages are not installed.
        InputError: a size is not allowed, or no runtime supports any of the precisions.
    """
    devices = list(dict.fromkeys(str(resolve_device(device)) for device in devices))
    for runtime in runtimes:
        _check_runtime(runtime, devices)
    cases = []
    for name in dict.fromkeys(variants):
        own = ADOPTED if name == ADOPTED.name else get_variant(name)
        for size in dict.fromkeys(map(own.fitting_size, input_sizes or [own.input_size])):
            if name != ADOPTED.name:
                count_operations(name, size)
            for device in devices:
                for runtime in dict.fromkeys(runtimes):
                    chosen = _precisions(precisions, device, runtime)
                    if chosen:
                        cases.append(BenchmarkCase(name, size, device, chosen, runtime))
    if not cases:
        raise InputError(
            f"runtime {', '.join(runtimes)} supports none of the precisions "
            f"{', '.join(precisions)}: add float32"
        )
    return cases


def split_runtime(runtime: str) -> tuple[str, str]:
    """Return runtime and provider of a name in `RUNTIMES`."""
    name, _, provider = runtime.partition(":")
    return name, provider or "auto"


def _check_runtime(runtime: str, devices: Sequence[str]) -> None:
    if runtime not in RUNTIMES:
        raise UnknownNameError("runtime", runtime, RUNTIMES)
    if runtime == TORCH:
        return
    if not any(_provider(runtime, device) for device in devices):
        raise DeviceError(
            f"runtime {runtime} does not run on {', '.join(devices)}: choose another device"
        )
    check_packages()


def _provider(runtime: str, device: str) -> Provider | None:
    """Return the provider that runs the cases of a device; None if it is for other devices."""
    of_device = [row for row, found in candidates(split_runtime(runtime)[1], "auto")]
    return next((row for row in of_device if row.device_type == device.split(":")[0]), None)


def _is_cuda(device: str) -> bool:
    return device.startswith("cuda")


def _precisions(names: Sequence[str], device: str, runtime: str) -> tuple[str, ...]:
    for name in names:
        if name != INT8:
            resolve_precision(name, resolve_device(device))
    if runtime == TORCH:
        # Few processors compute in float16; the others convert back and forth.
        usual = ["float32", "bfloat16", *(["float16"] if _is_cuda(device) else [])]
        return _torch_precisions([n for n in names or usual if n != INT8], device)
    provider = _provider(runtime, device)
    if provider is None:
        return ()
    fitting = {name.removesuffix("-tensorrt") for name in provider.graphs}
    if not computes_bfloat16():
        fitting.discard("bfloat16")
    usual = [name for name in ("float32", provider.resolve("auto"), INT8) if name in fitting]
    resolved = (provider.resolve(name) if name == "auto" else name for name in names or usual)
    return tuple(dict.fromkeys(name for name in resolved if name in fitting))


def _torch_precisions(names: Sequence[str], device: str) -> tuple[str, ...]:
    resolved = (resolve_precision(name, resolve_device(device)) for name in names)
    return tuple(dict.fromkeys(str(dtype).removeprefix("torch.") for dtype in resolved))
