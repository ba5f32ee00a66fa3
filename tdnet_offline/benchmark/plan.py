"""What a benchmark measures: every variant with every size, device, runtime and precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tdnet.device import resolve_device, resolve_precision
from tdnet.errors import InputError, UnknownNameError
from tdnet.runtimes import RUNTIMES
from tdnet.variants import get_variant
from tdnet_offline.operations import count_operations

Size = tuple[int, int]

TORCH = RUNTIMES[0]
INT8 = "int8"
_EXPORTED = ("float32", "float16", INT8)


@dataclass(frozen=True)
class Place:
    """A network at a size on a device, and the precisions in which it is measured there.

    Attributes:
        variant: name of the network.
        input_size: height and width of its input.
        device: such as ``cpu``.
        precisions: names, without ``auto``.
        runtime: what runs it.
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
) -> list[Place]:
    """Combine the choices, each once, and check them before anything is measured.

    Args:
        variants: names.
        input_sizes: heights and widths; empty: each variant's own.
        devices: names.
        precisions: names, of which each runtime takes those that it has; empty: all that are of
            use on the device.
        runtimes: names.

    Raises:
        UnknownNameError: a variant, precision or runtime has no such name.
        DeviceError: this machine lacks a device.
        InputError: no network takes one of the sizes, or a runtime none of the precisions.
    """
    for runtime in runtimes:
        if runtime not in RUNTIMES:
            raise UnknownNameError("runtime", runtime, RUNTIMES)
    places = []
    for name in dict.fromkeys(variants):
        for size in dict.fromkeys(input_sizes or [get_variant(name).input_size]):
            count_operations(name, size)
            for device in dict.fromkeys(str(resolve_device(device)) for device in devices):
                for runtime in dict.fromkeys(runtimes):
                    chosen = _precisions(precisions, device, runtime)
                    places.append(Place(name, size, device, chosen, runtime))
    return places


def _precisions(names: Sequence[str], device: str, runtime: str) -> tuple[str, ...]:
    for name in names:
        if name != INT8:
            resolve_precision(name, resolve_device(device))
    if runtime == TORCH:
        usable = [name for name in names if name != INT8]
    elif names:
        usable = [name for name in names if name in _EXPORTED]
    else:
        usable = ["float32", "float16" if device.startswith("cuda") else INT8]
    if names and not usable:
        raise InputError(
            f"runtime {runtime} has none of the precisions {', '.join(names)}: add float32"
        )
    return _torch_precisions(usable, device) if runtime == TORCH else tuple(dict.fromkeys(usable))


def _torch_precisions(names: Sequence[str], device: str) -> tuple[str, ...]:
    if not names:
        # Hardly any processor computes in float16; the others convert back and forth.
        half = ["float16"] if device.startswith("cuda") else []
        names = ["float32", "bfloat16", *half]
    resolved = (resolve_precision(name, resolve_device(device)) for name in names)
    return tuple(dict.fromkeys(str(dtype).removeprefix("torch.") for dtype in resolved))
