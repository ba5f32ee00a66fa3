"""`tdnet convert`: a checkpoint as a safetensors file that describes itself."""

from __future__ import annotations

import argparse
from pathlib import Path

from tdnet.backends import AUTO
from tdnet.errors import InputError
from tdnet.settings import DEFAULT_CLASS_MAP
from tdnet_offline.arguments import MODEL_OPTIONS
from tdnet_offline.commands import ExitStatus

SUFFIX = ".safetensors"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add description and options."""
    parser.description = (
        "Reads an official or own checkpoint, checks that it fits the variant, and writes it "
        "with variant, class map and input size in its header."
    )
    parser.add_argument("input", metavar="IN", help="checkpoint: .pkl, .pth or .safetensors")
    parser.add_argument("output", metavar="OUT.safetensors", type=Path, help="file to write")
    parser.add_argument("--variant", default=AUTO, **MODEL_OPTIONS["variant"])
    parser.add_argument(
        "--class-map",
        metavar="C",
        help=(
            "packaged class map or YAML file to store; without it the checkpoint's own, or "
            f"{DEFAULT_CLASS_MAP} if the number of classes fits"
        ),
    )
    parser.add_argument("--input-size", **MODEL_OPTIONS["input_size"])


def run(args: argparse.Namespace) -> ExitStatus:
    """Run the command."""
    from tdnet.checkpoints.checkpoint import Checkpoint
    from tdnet.checkpoints.weights import describe_weights, load_weights, save_weights
    from tdnet.class_map.model import ClassMap
    from tdnet.network import create_model
    from tdnet.network.layers import SkipInitialisation
    from tdnet.variants import DEFAULT_CLASSES, DEFAULT_VARIANT, get_variant

    if args.output.suffix != SUFFIX:
        raise InputError(f"{args.output}: the file to write must end in {SUFFIX}")
    checkpoint = Checkpoint.open(args.input)
    found = describe_weights(checkpoint)
    chosen = args.variant if args.variant != AUTO else found.variant
    variant = get_variant(chosen or DEFAULT_VARIANT)
    class_map = ClassMap.load(args.class_map) if args.class_map else found.class_map
    if class_map is None:
        default = ClassMap.load(DEFAULT_CLASS_MAP)
        class_map = default if default.num_network_classes == found.num_classes else None
    elif found.num_classes not in (None, class_map.num_network_classes):
        raise InputError(
            f"{args.input} has {found.num_classes} classes, class map {class_map.name!r} is for "
            f"{class_map.num_network_classes}; choose one that fits"
        )
    with SkipInitialisation():
        model = create_model(
            variant.limited_memory(found.memory_frames),
            # Loading refuses an unknown checkpoint and names the differences.
            num_classes=found.num_classes or DEFAULT_CLASSES,
            input_size=args.input_size or found.input_size,
        )
    info = load_weights(model, checkpoint)
    save_weights(model, args.output, class_map=class_map)
    height, width = model.input_size
    print(
        f"{args.output}: {variant.name}, {model.num_classes} classes "
        f"({class_map.name if class_map else 'no class map'}), {height} x {width}, "
        f"{info.num_parameters:,} numbers, {len(info.ignored)} unused entries left out"
    )
    return ExitStatus.DONE
