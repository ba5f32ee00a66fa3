"""`tdnet extract`: the frames of a video or a bag as picture files, to label or to train on."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tdnet.errors import InputError
from tdnet_offline.arguments import StoreTuple, number, whole_number
from tdnet_offline.commands import ExitStatus

if TYPE_CHECKING:
    from tdnet_offline.datasets import Dataset
    from tdnet_offline.frames import Frame, RefusedFrame
    from tdnet_offline.progress import Progress

BEFORE = 6
"""Frames before a labelled one: enough for clips of four frames, two apart."""
_NAME = re.compile(r"[^/%]*%0?[0-9]?d[^/%]*")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add description and options."""
    parser.description = (
        "Writes each frame as DIR/NAME.png; or, with --every or --captured, short stretches of "
        "frames as a data set to label: DIR/frames/VIDEO/NAME.png, and the last frame of each "
        "stretch also as DIR/to_label/VIDEO/NAME.png. Exit status 1 if some frames or labels "
        "could not be read."
    )
    parser.add_argument("input", metavar="INPUT", help="video, bag, or folder of images")
    parser.add_argument("output", metavar="DIR", type=Path, help="where to write")
    parser.add_argument(
        "--topic", help="image topic of a bag (default: its only one beside --label-topic)"
    )
    parser.add_argument(
        "--size",
        nargs=2,
        type=whole_number(1, 16384),
        action=StoreTuple,
        metavar=("H", "W"),
        help="size of the pictures (default: that of the frames)",
    )
    every = parser.add_argument_group("every frame")
    every.add_argument(
        "--name",
        type=_name,
        metavar="TEXT",
        help="names with the number of the frame, as drive_%%06d (default: as predict names them)",
    )
    every.add_argument(
        "--first",
        type=int,
        metavar="N",
        help="number of the first frame; frames below 0 are left out (default: 0)",
    )
    stretches = parser.add_argument_group("stretches to label")
    which = stretches.add_mutually_exclusive_group()
    which.add_argument(
        "--every",
        type=number(0.001, 1e9, "seconds"),
        metavar="S",
        help="seconds from one stretch to the next (images in a folder count as 10 a second)",
    )
    which.add_argument(
        "--captured",
        action="store_true",
        help="of a capture of the node: one stretch, up to the frame that it was made for",
    )
    stretches.add_argument(
        "--before",
        type=whole_number(0, 99),
        metavar="N",
        help=f"frames before the one to label (default: {BEFORE})",
    )
    stretches.add_argument(
        "--label-topic",
        help="labels of a bag, written as DIR/labels/VIDEO/NAME.png: ids of DIR/class_map.yaml; "
        "without such a file they are those of Cityscapes, and it is written",
    )


def run(args: argparse.Namespace) -> ExitStatus:
    """Run the command."""
    alone: tuple[str, ...] = ("before", "label_topic")
    remedy = "without --every means nothing; give --every too"
    if args.every is not None:
        alone, remedy = ("name", "first"), "does not go with --every; leave out one of them"
    elif args.captured:
        alone = ("name", "first", "label_topic")
        remedy = "does not go with --captured; leave out one of them"
    for name in alone:
        if getattr(args, name) is not None:
            raise InputError(f"--{name.replace('_', '-')} {remedy}")
    if args.label_topic and args.size:
        raise InputError("--size does not go with --label-topic; train with data.frame_size")
    stretches = args.captured or args.every is not None
    refused = _write_stretches(args) if stretches else _write_every_frame(args)
    return ExitStatus.INCOMPLETE if refused else ExitStatus.DONE


def _write_every_frame(args: argparse.Namespace) -> int:
    """Write each frame; return how many were refused."""
    from tdnet_offline.frames import RefusedFrame
    from tdnet_offline.writers.images import PngWriter

    written = 0
    with PngWriter() as pictures, _open_frames(args, args.topic) as (frames, progress):
        for number, frame in enumerate(frames, args.first or 0):
            if number >= 0 and not isinstance(frame, RefusedFrame):
                name = args.name % number if args.name else frame.name
                pictures.write(args.output / f"{name}.png", frame.image)
                written += 1
    if not progress.done:
        raise InputError(f"{args.input}: there is no frame in it")
    if not written and not progress.refused:
        raise InputError(
            f"{args.input}: --first {args.first} leaves out all of its {progress.done} frames, "
            "since those below 0 are not written"
        )
    print(f"{args.output}: {written} frames written, {progress.refused} refused")
    return progress.refused


def _write_stretches(args: argparse.Namespace) -> int:
    """Write the stretches; return how many frames and labels were refused."""
    from tdnet_offline.datasets.bag import image_topic
    from tdnet_offline.extraction import (
        LABELS,
        TO_LABEL,
        StretchFolder,
        captured_frames,
        find_stretches,
    )
    from tdnet_offline.frames import RefusedFrame

    before = BEFORE if args.before is None else args.before
    path = Path(args.input).resolve()
    folder = StretchFolder(args.output, path.name if path.is_dir() else path.stem)
    labelled = _open_labels(args)
    topic = image_topic(Path(args.input), args.topic, args.label_topic) if labelled else args.topic
    wanted = frozenset(labelled.videos[0].labelled) if labelled else None
    if args.captured:
        wanted = captured_frames(Path(args.input), topic)
    written = unreadable = 0
    with _open_frames(args, topic) as (frames, progress):
        for stretch in find_stretches(
            frames, args.every or 0.0, before, lambda number: wanted is None or number in wanted
        ):
            try:
                labels = labelled.videos[0].labels(stretch.number) if labelled else None
            except InputError as error:
                name, _, reason = str(error).partition(": ")
                progress.refuse(RefusedFrame(name, reason))
                unreadable += 1
                continue
            folder.write(stretch, labels)
            written += 1
    if not written and unreadable:
        raise InputError(
            f"{args.input}: nothing is written, since the labels of all {unreadable} stretches "
            "cannot be used"
        )
    if not written:
        raise InputError(
            f"{args.input}: no {before + 1} frames without a gap among its {progress.done}"
            + (" that end in one with labels" if labelled else "")
            + (" that end in the captured one" if args.captured else "")
            + "; a smaller --before needs fewer"
        )
    todo = f"tdnet check folder:{args.output}"
    if labelled is None:
        pictures, masks = args.output / TO_LABEL, args.output / LABELS
        todo = f"label the pictures in {pictures}, put the masks into {masks}, and {todo}"
    else:
        folder.write_class_map(labelled.class_map)
    refused = f", {progress.refused} refused" if progress.refused else ""
    print(f"{args.output}: {written} stretches of {before + 1} frames{refused}; next: {todo}")
    return progress.refused


def _open_labels(args: argparse.Namespace) -> Dataset | None:
    """Open the labels of a bag."""
    if not args.label_topic:
        return None
    from tdnet.class_map.model import ClassMap
    from tdnet_offline.datasets import open_dataset
    from tdnet_offline.datasets.folder import CLASS_MAP

    own = args.output / CLASS_MAP
    return open_dataset(
        args.input,
        class_map=ClassMap.load(own) if own.exists() else None,
        topic=args.topic,
        label_topic=args.label_topic,
    )


@contextmanager
def _open_frames(
    args: argparse.Namespace, topic: str | None
) -> Iterator[tuple[Iterator[Frame | RefusedFrame], Progress]]:
    """Yield the frames, resized to the given size, and their progress."""
    import dataclasses

    import cv2
    import numpy as np

    from tdnet_offline.frames import RefusedFrame, open_source
    from tdnet_offline.progress import show_progress

    source = open_source(args.input, topic)
    with show_progress(source.description, source.num_frames) as progress:

        def frames() -> Iterator[Frame | RefusedFrame]:
            for frame in source:
                progress.advance()
                if isinstance(frame, RefusedFrame):
                    progress.refuse(frame)
                elif args.size:
                    size = args.size[::-1]
                    image = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
                    frame = dataclasses.replace(frame, image=np.asarray(image, np.uint8))
                yield frame

        yield frames(), progress


def _name(text: str) -> str:
    """Read a name with a place for the number; for argparse."""
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a file name with one place for the number, such as drive_%06d"
        )
    return text
