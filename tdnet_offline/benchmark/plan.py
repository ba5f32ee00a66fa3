"""What a benchmark measures: every variant with every size, device and precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tdnet.device import resolve_device, resolve_precision
from tdnet.variants import get_variant
from tdnet_offline.operations import count_operations

Size = tuple[int, int]


@dataclass(frozen=True)
class Place:
    """A network at a size on a device, and the precisions in which it is measured there.

    Attributes:
        variant: name of the network.
        input_size: height and width of its input.
        device: such as ``cpu``.
        precisions: names, without ``auto``.
    """

    variant: str
    input_size: Size
    device: str
    precisions: tuple[str, ...]


def plan(
    variants: Sequence[str],
    input_sizes: Sequence[Size],
    devices: Sequence[str],
    precisions: Sequence[str],
) -> list[Place]:
    """Combine the choices, each once, and check them before anything is measured.

    Args:
        variants: names.
        input_sizes: heights and widths; empty: each variant's own.
        devices: names.
        precisions: names; empty: all that are of use on the device.

    Raises:
        UnknownNameError: a variant or precision has no such name.
        DeviceError: this machine lacks a device.
        InputError: no network takes one of the sizes.
    """
    places = []
    for name in dict.fromkeys(variants):
        for size in dict.fromkeys(input_sizes or [get_variant(name).input_size]):
            count_operations(name, size)
            for device in dict.fromkeys(str(resolve_device(device)) for device in devices):
                places.append(Place(name, size, device, _precisions(precisions, device)))
    return places


def _precisions(names: Sequence[str], device: str) -> tuple[str, ...]:
    if not names:
        # Hardly any processor computes in float16; the others convert back and forth.
        half = ["float16"] if device.startswith("cuda") else []
        names = ["float32", "bfloat16", *half]
    resolved = (resolve_precision(name, resolve_device(device)) for name in names)
    return tuple(dict.fromkeys(str(dtype).removeprefix("torch.") for dtype in resolved))
