"""`tdnet adopt`: an ONNX graph of another project as a folder that runs like our networks."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tdnet.errors import InputError
from tdnet_offline.arguments import MODEL_OPTIONS, StoreTuple
from tdnet_offline.commands import ExitStatus
from tdnet_offline.export import COLORS, LAYOUTS

if TYPE_CHECKING:
    from tdnet.backends.onnx.description import ExportDescription

_SAMPLE = 1_000_000, (480, 640)
"""Seed and size of the drawn street that a graph is tried on."""
_CHANNELS: dict[str, Any] = {
    "nargs": 3,
    "type": float,
    "action": StoreTuple,
    "metavar": ("C1", "C2", "C3"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add description and options."""
    parser.description = (
        "Writes a folder of a single-frame segmentation network of another project, which the "
        "node and all commands take as weights. The graph is tried on an image, and what was "
        "understood is printed. See docs/export.md."
    )
    parser.add_argument("graph", metavar="MODEL.onnx", type=Path, help="the network")
    parser.add_argument(
        "--output", metavar="DIR", type=Path, required=True, help="new folder to write"
    )
    parser.add_argument(
        "--class-map",
        metavar="C",
        required=True,
        help="packaged class map or YAML file of the network's classes, in their order",
    )
    network = parser.add_argument_group("network")
    network.add_argument(
        "--input-size",
        **{
            **MODEL_OPTIONS["input_size"],
            "help": "height and width, if the graph leaves them open",
        },
    )
    network.add_argument(
        "--layout",
        choices=LAYOUTS,
        help="of the input (default: by the place of its 3 channels)",
    )
    network.add_argument(
        "--colors",
        choices=COLORS,
        default="RGB",
        help="order of the channels (default: %(default)s)",
    )
    network.add_argument(
        "--white",
        type=int,
        choices=(1, 255),
        help="value of a white pixel before mean and std (default: 255 for uint8 input, else 1)",
    )
    network.add_argument(
        "--mean",
        **_CHANNELS,
        help="subtracted from each channel, in the order of --colors (default: ImageNet's; uint8: "
        "0)",
    )
    network.add_argument(
        "--std",
        **_CHANNELS,
        help="each channel is then divided by it (default: ImageNet's; uint8: 1)",
    )
    network.add_argument("--output-name", metavar="N", help="output, if the graph has several")
    network.add_argument(
        "--align-corners",
        action="store_true",
        help="the network was trained with logits enlarged with aligned corners (default: "
        "half-pixel centres)",
    )
    network.add_argument(
        "--image",
        type=Path,
        metavar="FILE",
        help="PNG or JPEG to try the network on (default: a drawn street)",
    )


def run(args: argparse.Namespace) -> ExitStatus:
    """Run the command."""
    from tdnet.class_map.model import ClassMap
    from tdnet_offline.export.adoption import AdoptOptions, adopt_network
    from tdnet_offline.frames.image_files import read_image
    from tdnet_offline.street import StreetDrive

    if args.image is None:
        seed, size = _SAMPLE
        sample = StreetDrive(seed, size).frame(0).image
    else:
        try:
            sample = read_image(args.image)
        except InputError as error:
            raise InputError(f"{args.image}: {error}") from error
    options = AdoptOptions(
        class_map=ClassMap.load(args.class_map),
        input_size=args.input_size,
        layout=args.layout,
        colors=args.colors,
        largest=args.white,
        mean=args.mean,
        std=args.std,
        output_name=args.output_name,
        align_corners=args.align_corners,
    )
    description = adopt_network(args.graph, args.output, options, sample)
    print(f"{args.output}: {args.graph.name}, for --weights and the node's weights")
    print(_summary(description, args.image.name if args.image else "drawn street"))
    return ExitStatus.DONE


def _summary(description: ExportDescription, sample: str) -> str:
    """Return what was understood of a graph, one line for each subject."""
    about: Mapping[str, Any] = description.adopted or {}
    taken, output = about["input"], about["output"]
    height, width = description.input_size
    rows, columns = description.outputs[0].shape[2:]
    mean, std = (" ".join(f"{value:g}" for value in taken[key]) for key in ("mean", "std"))
    resize = "aligned corners" if description.align_corners else "half-pixel centres"
    shares = [f"{name} {share:.1%}" for name, share in about["sample"].items()]
    return "\n".join(
        (
            f"  input   {taken['name']}: {height} x {width}, {taken['dtype']}, {taken['layout']}, "
            f"{taken['colors']}, 0 to {taken['largest']}, mean {mean}, std {std}",
            f"  output  {output['name']}: {output['kind']} of {rows} x {columns}, stride "
            f"{height / rows:.3g}, enlarged with {resize}",
            f"  classes {description.num_classes}, class map {description.class_map.name}",
            f"  sample  {sample}: {', '.join(shares)}",
        )
    )
