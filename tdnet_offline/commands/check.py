"""`tdnet check`: contents of a data set, usable clips, and missing files."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Set
from pathlib import Path
from typing import TYPE_CHECKING

from tdnet_offline.arguments import whole_number
from tdnet_offline.commands import ExitStatus
from tdnet_offline.datasets import SPLITS
from tdnet_offline.datasets.registry import DATASETS, import_function

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tdnet.class_map.model import ClassMap
    from tdnet_offline.datasets import Dataset
    from tdnet_offline.datasets.inspection import Inspection
    from tdnet_offline.frames import Frame
    from tdnet_offline.writers.images import PngWriter

SPACINGS = (1, 2)
MAX_LISTED = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Add description and options."""
    parser.description = (
        "Counts videos, frames, labels and usable clips, reads a sample, and lists what is "
        "missing or cannot be used. Exit status 1 if something is, 2 if nothing can be used."
    )
    kinds = "; ".join(f"{name}: {entry.root}" for name, entry in DATASETS.items())
    parser.epilog = f"Data sets: {kinds}."
    parser.add_argument("source", metavar="SOURCE", help="NAME:ROOT, see below, or a bag")
    parser.add_argument("--split", default="train", help=f"{', '.join(SPLITS)} (default: train)")
    parser.add_argument(
        "--class-map",
        metavar="C",
        help="classes of labels: packaged class map or YAML file (default: the data set's own)",
    )
    parser.add_argument("--topic", help="images of a bag (default: its only image topic)")
    parser.add_argument("--label-topic", help="labels of a bag")
    parser.add_argument(
        "--length",
        type=whole_number(1, 1000),
        default=4,
        metavar="N",
        help="frames of a clip, as many as the network has paths (default: %(default)s)",
    )
    parser.add_argument("--all", action="store_true", help="read every frame and all labels")
    parser.add_argument(
        "--samples", metavar="DIR", type=Path, help="write pictures of the labels read there"
    )


def run(args: argparse.Namespace) -> ExitStatus:
    """Run the command."""
    from tdnet.class_map.model import ClassMap
    from tdnet_offline.datasets import open_dataset
    from tdnet_offline.datasets.inspection import (
        find_missing,
        inspect_dataset,
        places_to_read,
        usable_clips,
    )
    from tdnet_offline.progress import show_progress
    from tdnet_offline.writers.images import PngWriter

    dataset = open_dataset(
        args.source,
        args.split,
        class_map=args.class_map and ClassMap.load(args.class_map),
        topic=args.topic,
        label_topic=args.label_topic,
    )
    missing, unreadable = find_missing(dataset)
    _print_counts(dataset, args.length, unreadable)
    count = len(places_to_read(dataset, args.all))
    with PngWriter() as writer, show_progress("reading", count) as progress:
        show = _sampler(args.samples, dataset.class_map, writer)
        inspection = inspect_dataset(dataset, missing, args.all, show, progress.advance)
    if args.samples:
        print(f"samples written to {args.samples}")
    entry = DATASETS.get(dataset.name)
    if entry is not None and entry.check:
        problems, notes = import_function(entry.check)(dataset.root)
        for line in problems:
            inspection.add(line)
        for line in notes:
            print(f"note: {line}")
    if dataset.videos and all(video.num_frames == 1 for video in dataset.videos):
        print(
            "note: every video has one frame; networks with a memory learn from such stills only "
            "with data.repeat_stills=true"
        )
    _print_contents(dataset, inspection)
    _print_missing(dataset, inspection)
    if not inspection.labels_read:
        print("nothing can be used: no labels could be read")
        return ExitStatus.FAILED
    if not usable_clips(dataset, args.length, min(SPACINGS), unreadable):
        print(f"nothing can be used: no clip of {_counted(args.length, 'frame')}; see --length")
        return ExitStatus.FAILED
    incomplete = inspection.missing or inspection.problems
    return ExitStatus.INCOMPLETE if incomplete else ExitStatus.DONE


def _print_counts(dataset: Dataset, length: int, unreadable: Set[tuple[int, int]]) -> None:
    from tdnet_offline.datasets.inspection import usable_clips

    frames = sum(video.num_frames for video in dataset.videos)
    rates = sorted({video.frame_rate for video in dataset.videos if video.frame_rate})
    split = f", {dataset.split}" if dataset.split else ", not divided into splits"
    print(f"{dataset.name}:{dataset.root}{split}; class map {dataset.class_map.name}")
    rate = f" at {', '.join(f'{rate:.1f}' for rate in rates[:3])} a second" if rates else ""
    counted = f"{_counted(len(dataset.videos), 'video')}, {_counted(frames, 'frame')}{rate}"
    print(f"{counted}, {dataset.num_labelled} labelled")
    breaks = sum(len(video.breaks) for video in dataset.videos)
    if breaks:
        why = "a pause of more than a second, a stamp that goes back, or another frame id"
        print(f"{_counted(breaks, 'break')} ({why}); no clip goes across")
    for spacing in SPACINGS if length > 1 else (1,):
        clips = usable_clips(dataset, length, spacing, unreadable)
        apart = f", {spacing} apart" if length > 1 else ""
        lost = dataset.num_labelled - clips
        note = f"; not enough frames before {lost} of the labelled ones" if lost else ""
        print(f"{_counted(clips, 'clip')} of {_counted(length, 'frame')}{apart}{note}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _print_contents(dataset: Dataset, inspection: Inspection) -> None:
    sizes = [f"{n} of {h} x {w}" for (h, w), n in inspection.sizes.most_common(MAX_LISTED)]
    print(f"read {inspection.sizes.total()} frames (height x width: {', '.join(sizes) or 'none'})")
    if len(sizes) > 1:
        print("  training on sizes that differ needs a frame size")
    total = int(inspection.pixels.sum())
    if not total:
        return
    print(f"read {inspection.labels_read} labels; share of their pixels by class:")
    names = ["ignored", *(entry.name for entry in dataset.class_map.classes)]
    width = max(map(len, names))
    for entry in dataset.class_map.classes:
        share = inspection.pixels[entry.id] / total
        print(f"  {entry.id:3d} {entry.name:<{width}} {share:7.2%}{'' if share else '  (none)'}")
    print(f"  255 {'ignored':<{width}} {inspection.pixels[255] / total:7.2%}")


def _print_missing(dataset: Dataset, inspection: Inspection) -> None:
    folders = Counter(path.parent for path in inspection.missing)
    for folder, count in folders.most_common(MAX_LISTED):
        example = next(path for path in inspection.missing if path.parent == folder)
        print(f"missing: {_counted(count, 'file')} in {folder}, such as {example.name}")
    if len(folders) > MAX_LISTED:
        print(f"missing: more, in {len(folders) - MAX_LISTED} other folders")
    if folders:
        total = f"missing altogether: {_counted(len(inspection.missing), 'file')}"
        entry = DATASETS.get(dataset.name)
        print(f"{total}; {entry.source}" if entry is not None and entry.source else total)
    for line in inspection.problems[:MAX_LISTED]:
        print(f"problem: {line}")
    if len(inspection.problems) > MAX_LISTED:
        print(f"problem: {len(inspection.problems) - MAX_LISTED} more")


def _sampler(
    folder: Path | None, class_map: ClassMap, writer: PngWriter
) -> Callable[[str, Frame, npt.NDArray[np.uint8]], None]:
    """Return a function that writes a labelled frame as overlay, if a folder is given."""
    if folder is None:
        return lambda *_: None
    import numpy as np
    import torch

    from tdnet.overlay.renderer import OverlayRenderer

    overlay = OverlayRenderer(class_map)

    def write(name: str, frame: Frame, labels: npt.NDArray[np.uint8]) -> None:
        image = torch.from_numpy(np.array(frame.image))
        writer.write(folder / f"{name}.png", overlay.render(image, torch.from_numpy(labels)))

    return write
