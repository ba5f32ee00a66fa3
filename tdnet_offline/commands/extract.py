"""`tdnet extract`: the frames of a video or a bag as picture files, to label or to train on."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tdnet.errors import InputError, one_line
from tdnet_offline.arguments import Subparsers, seconds

if TYPE_CHECKING:
    from tdnet_offline.datasets import Dataset
    from tdnet_offline.extraction import Stretch, StretchFolder
    from tdnet_offline.frames import Frame, RefusedFrame

EXIT_SOME_REFUSED = 1
MAX_REPORTED = 20
MAX_BEFORE = 99
BEFORE = 6
"""Frames before a labelled one: enough for clips of four frames, two apart."""
_NAME = re.compile(r"[^/%]*%0?[0-9]?d[^/%]*")


def add_parser(subparsers: Subparsers) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "extract",
        help="write the frames of a video or a bag as PNG files",
        description=(
            "Writes each frame as DIR/NAME.png; or, with --every, a short stretch of frames every "
            "few seconds as a data set to label: DIR/frames/VIDEO/NAME.png, and the last frame of "
            "each stretch also as DIR/to_label/VIDEO/NAME.png. Exit status 1 if some frames or "
            "labels could not be read."
        ),
    )
    parser.add_argument("input", metavar="INPUT", help="video, bag, or folder of images")
    parser.add_argument("output", metavar="DIR", type=Path, help="where to write")
    parser.add_argument(
        "--topic", help="image topic of a bag (default: its only one beside --label-topic)"
    )
    parser.add_argument(
        "--size", nargs=2, type=_side, metavar=("H", "W"), help="resize to (default: as they are)"
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
    stretches.add_argument(
        "--every",
        type=seconds,
        metavar="S",
        help="seconds from one stretch to the next (images in a folder count as 10 a second)",
    )
    stretches.add_argument(
        "--before",
        type=_before,
        metavar="N",
        help=f"frames before the one to label (default: {BEFORE})",
    )
    stretches.add_argument(
        "--label-topic",
        help="labels of a bag, written as DIR/labels/VIDEO/NAME.png: ids of DIR/class_map.yaml; "
        "without such a file they are those of Cityscapes, and it is written",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command.

    Raises:
        TdnetError: there is nothing to read, or the options do not go together.
        OSError: a picture cannot be written.
    """
    _check_options(args)
    if args.every is None:
        return _write_every_frame(args)
    return _write_stretches(args)


def _check_options(args: argparse.Namespace) -> None:
    alone, remedy = ("before", "label_topic"), "without --every means nothing; give --every too"
    if args.every is not None:
        alone, remedy = ("name", "first"), "does not go with --every; leave out one of them"
    for name in alone:
        if getattr(args, name) is not None:
            raise InputError(f"--{name.replace('_', '-')} {remedy}")
    if args.label_topic and args.size:
        raise InputError("--size does not go with --label-topic; train with data.frame_size")


def _write_every_frame(args: argparse.Namespace) -> int:
    from tdnet_offline.frames import RefusedFrame
    from tdnet_offline.writers.images import PngWriter

    written = refused = read = 0
    with PngWriter() as pictures, _frames(args, args.topic) as frames:
        for number, frame in enumerate(frames, args.first or 0):
            read += 1
            if isinstance(frame, RefusedFrame):
                refused += 1
            elif number >= 0:
                name = args.name % number if args.name else frame.name
                pictures.write(args.output / f"{name}.png", frame.image)
                written += 1
    if not read:
        raise InputError(f"{args.input}: there is no frame in it")
    if not written and not refused:
        raise InputError(
            f"{args.input}: --first {args.first} leaves out all of its {read} frames, since those "
            "below 0 are not written"
        )
    print(f"{args.output}: {written} frames written, {refused} refused")
    return EXIT_SOME_REFUSED if refused else 0


def _write_stretches(args: argparse.Namespace) -> int:
    from tdnet_offline.datasets.bag import image_topic
    from tdnet_offline.extraction import LABELS, TO_LABEL, StretchFolder, find_stretches
    from tdnet_offline.frames import RefusedFrame

    before = BEFORE if args.before is None else args.before
    path = Path(args.input).resolve()
    folder = StretchFolder(args.output, path.name if path.is_dir() else path.stem)
    truth = _labelled(args)
    topic = image_topic(Path(args.input), args.topic, args.label_topic) if truth else args.topic
    labelled = frozenset(truth.videos[0].labelled) if truth else None
    written = read = refused = unreadable = 0

    def counted(frames: Iterable[Frame | RefusedFrame]) -> Iterator[Frame | RefusedFrame]:
        nonlocal read, refused
        for frame in frames:
            read += 1
            refused += isinstance(frame, RefusedFrame)
            yield frame

    with _frames(args, topic) as frames:
        stretches = find_stretches(
            counted(frames), args.every, before, lambda n: labelled is None or n in labelled
        )
        for stretch in stretches:
            if _write(folder, stretch, truth, unreadable < MAX_REPORTED):
                written += 1
            else:
                unreadable += 1
    refused += unreadable
    if not written and unreadable:
        raise InputError(
            f"{args.input}: nothing is written, since the labels of all {unreadable} stretches "
            "cannot be used"
        )
    if not written:
        raise InputError(
            f"{args.input}: no {before + 1} frames without a gap among its {read}"
            + (" that end in one with labels" if truth else "")
            + "; a smaller --before needs fewer"
        )
    todo = f"tdnet check folder:{args.output}"
    if truth is None:
        pictures, masks = args.output / TO_LABEL, args.output / LABELS
        todo = f"label the pictures in {pictures}, put the masks into {masks}, and {todo}"
    else:
        folder.write_class_map(truth.class_map)
    count = f"{written} stretches of {before + 1} frames" + (refused > 0) * f", {refused} refused"
    print(f"{args.output}: {count}; next: {todo}")
    return EXIT_SOME_REFUSED if refused else 0


def _write(folder: StretchFolder, stretch: Stretch, truth: Dataset | None, tell: bool) -> bool:
    """Writes a stretch unless its labels cannot be used; tells whether it did."""
    try:
        labels = truth.videos[0].labels(stretch.number) if truth else None
    except InputError as error:
        if tell:
            print(one_line(f"tdnet: refused {error}"), file=sys.stderr)
        return False
    folder.write(stretch, labels)
    return True


def _labelled(args: argparse.Namespace) -> Dataset | None:
    """Opens the labels of a bag."""
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
def _frames(
    args: argparse.Namespace, topic: str | None
) -> Iterator[Iterator[Frame | RefusedFrame]]:
    """Gives the frames, resized where asked to; says which are refused, and how far it is."""
    from tdnet_offline.frames import open_source

    source = open_source(args.input, topic)
    with _progress(source.description, source.num_frames) as advance:
        yield _read(source, args.size, advance)


def _read(
    source: Iterable[Frame | RefusedFrame],
    size: tuple[int, int] | None,
    advance: Callable[[], None],
) -> Iterator[Frame | RefusedFrame]:
    import dataclasses

    import cv2
    import numpy as np

    from tdnet_offline.frames import RefusedFrame

    refused = 0
    for frame in source:
        advance()
        if isinstance(frame, RefusedFrame):
            refused += 1
            if refused <= MAX_REPORTED:
                reason = one_line(f"tdnet: refused {frame.name}: {frame.reason}")
                print(reason, file=sys.stderr)
            yield frame
            continue
        image = np.array(frame.image)
        if size:
            height, width = size
            resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            image = np.asarray(resized, np.uint8)
        yield dataclasses.replace(frame, image=image)


@contextmanager
def _progress(description: str, frames: int | None) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(description, total=frames)
        yield lambda: progress.advance(task)


def _name(text: str) -> str:
    """Reads a name with a place for the number; for argparse."""
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a file name with one place for the number, such as drive_%06d"
        )
    return text


def _before(text: str) -> int:
    """Reads how many frames come before another; for argparse."""
    if not text.isdecimal() or int(text) > MAX_BEFORE:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of frames from 0 to {MAX_BEFORE}"
        )
    return int(text)


def _side(text: str) -> int:
    """Reads a side of a picture in pixels; for argparse."""
    if not text.isdecimal() or not 1 <= int(text) <= 16384:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of pixels from 1 to 16384")
    return int(text)
