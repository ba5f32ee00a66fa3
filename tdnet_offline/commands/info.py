"""`tdnet info`: the variants and their cost, or the contents of a weights file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tdnet.errors import one_line
from tdnet_offline.arguments import MODEL_OPTIONS
from tdnet_offline.commands import ExitStatus

if TYPE_CHECKING:
    from tdnet.checkpoints.variant_match import WeightsInfo


def configure(parser: argparse.ArgumentParser) -> None:
    """Add description and options."""
    parser.description = (
        "Without a file: each variant's parameters, GMAC a frame (10^9 multiply-accumulates "
        "of all convolutions and matrix products, with a full memory) and memory a stream."
    )
    parser.add_argument("weights", metavar="WEIGHTS", nargs="?", help="a weights file")
    parser.add_argument("--input-size", **MODEL_OPTIONS["input_size"])


def run(args: argparse.Namespace) -> ExitStatus:
    """Run the command."""
    if args.weights is None:
        _list_variants(args.input_size)
    else:
        _describe(args.weights, args.input_size)
    return ExitStatus.DONE


def _list_variants(size: tuple[int, int] | None) -> None:
    from rich.console import Console
    from rich.table import Table

    from tdnet._util.resources import packaged_weights
    from tdnet.variants import VARIANTS
    from tdnet_offline.operations import count_operations

    table = Table(box=None, pad_edge=False)
    table.add_column("variant", no_wrap=True)
    for column in ("input", "parameters", "GMAC", "memory"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    for variant in VARIANTS:
        cost = count_operations(variant.name, variant.fitting_size(size))
        packaged = "; weights packaged" if packaged_weights(variant.name) else ""
        table.add_row(
            variant.name,
            "{} x {}".format(*variant.fitting_size(size)),
            f"{cost.num_parameters / 1e6:.2f} M",
            f"{cost.multiply_adds / 1e9:.1f}",
            f"{cost.memory_bytes / 2**20:.2f} MiB",
            variant.description + packaged,
        )
    console = Console()
    with console.capture() as text:
        console.print(table)
    print(text.get(), end="")


def _describe(path: str, size: tuple[int, int] | None) -> None:
    from tdnet.checkpoints.checkpoint import Checkpoint
    from tdnet.checkpoints.variant_match import unsupported_name
    from tdnet.checkpoints.weights import describe_weights
    from tdnet.variants import DEFAULT_CLASSES, get_variant
    from tdnet_offline.operations import count_operations

    checkpoint = Checkpoint.open(path)
    info = describe_weights(checkpoint)
    facts = {
        "file": f"{info.path} ({info.format}, {info.layout} names)",
        "variant": info.variant or unsupported_name(checkpoint) or "none of the known ones",
        "classes": f"{info.num_classes or 'unknown'} ({_class_map_name(info)})",
        "made for": _size_text(info.input_size),
        "numbers": f"{info.num_parameters:,} parameters and statistics",
        "unused": f"{len(info.ignored)} entries",
    }
    if info.variant is not None:
        variant = get_variant(info.variant).limited_memory(info.memory_frames)
        size = variant.fitting_size(size or info.input_size)
        cost = count_operations(variant, size, info.num_classes or DEFAULT_CLASSES)
        facts["cost"] = (
            f"{cost.multiply_adds / 1e9:.1f} GMAC a frame and "
            f"{cost.memory_bytes / 2**20:.2f} MiB a stream at {_size_text(size)}"
        )
    shown = ("variant", "num_classes", "input_size", "class_map", "format")
    facts |= {name: text for name, text in (info.metadata or {}).items() if name not in shown}
    for name, text in facts.items():
        print(f"{one_line(name) + ':':<12} {one_line(text)}")


def _class_map_name(info: WeightsInfo) -> str:
    return f"class map {info.class_map.name}" if info.class_map else "no class map stored"


def _size_text(size: tuple[int, int] | None) -> str:
    return "{} x {}".format(*size) if size else "any input size"
