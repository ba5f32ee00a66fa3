"""`tdnet predict`: labels, and pictures of them, for the frames of a folder, a video or a bag."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tdnet.continuity import DEFAULT_MAX_GAP, ContinuityPolicy, ResetReason
from tdnet.errors import InputError
from tdnet_offline.arguments import (
    Subparsers,
    add_model_options,
    longest_gap,
    output_size,
    segmenter_settings,
)

if TYPE_CHECKING:
    from tdnet_offline.frames import FrameSource, RefusedFrame
    from tdnet_offline.prediction import SegmentedFrame

EXIT_SOME_REFUSED = 1


def add_parser(subparsers: Subparsers) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "predict",
        help="segment a folder of images, a video or a bag",
        description=(
            "Segments frames in order and writes DIR/labels/NAME.png: 8-bit class ids, "
            "255 = unlabelled. Exit status 1 if some frames could not be read."
        ),
    )
    parser.add_argument(
        "input", metavar="INPUT", help="folder of images (in natural name order), video, or bag"
    )
    parser.add_argument("--output", metavar="DIR", type=Path, required=True, help="where to write")
    parser.add_argument("--topic", help="image topic of a bag (default: its only one)")
    parser.add_argument(
        "--output-size",
        nargs="+",
        default=["camera"],
        metavar="SIZE",
        help="size of labels and overlays: camera, network, or H W (default: camera)",
    )
    parser.add_argument("--overlay", action="store_true", help="also write DIR/overlay/NAME.png")
    parser.add_argument("--video", metavar="OUT.mp4", type=Path, help="also write overlays there")
    parser.add_argument(
        "--max-gap",
        type=longest_gap,
        default=DEFAULT_MAX_GAP,
        metavar="S",
        help="seconds between frames above which the memory is reset; 0 follows the rate of the "
        "frames (default: %(default)s)",
    )
    add_model_options(parser)
    parser.set_defaults(run=run)


@dataclass
class _Summary:
    frames: int = 0
    refused: int = 0
    resets: Counter[str] = field(default_factory=Counter)
    started: float = field(default_factory=time.perf_counter)

    def __str__(self) -> str:
        rate = self.frames / max(time.perf_counter() - self.started, 1e-9)
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(self.resets.items()))
        return (
            f"{self.frames} frames segmented, {self.refused} refused, "
            f"{self.resets.total()} memory resets{f' ({reasons})' if reasons else ''}, "
            f"{rate:.1f} frames/s"
        )


def run(args: argparse.Namespace) -> int:
    """Runs the command.

    Raises:
        TdnetError: nothing can be done with the input, the weights or the options.
        OSError: an output cannot be written.
    """
    from tdnet.frames.postprocess import OutputOptions
    from tdnet.overlay.renderer import OverlayRenderer
    from tdnet_offline.frames import open_source
    from tdnet_offline.prediction import segment_frames
    from tdnet_offline.writers.images import PngWriter
    from tdnet_offline.writers.video import VideoWriter

    size = output_size(args.output_size)
    source = open_source(args.input, args.topic)
    with ExitStack() as resources:
        # Before the network is loaded, so that a mistake in the name shows at once.
        video = args.video and resources.enter_context(VideoWriter(args.video, source.frame_rate))
        segmenter = segmenter_settings(args).build()
        overlay = None
        if args.overlay or video:
            overlay = OverlayRenderer(segmenter.class_map, device=segmenter.device)
        (args.output / "labels").mkdir(parents=True, exist_ok=True)
        images = resources.enter_context(PngWriter())
        options = OutputOptions(size=size, confidence=False, overlay=overlay)
        frames = segment_frames(source, segmenter, options, ContinuityPolicy(args.max_gap))

        summary = _Summary()
        for item in _counted(frames, source, summary):
            name = f"{item.frame.name}.png"
            images.write(args.output / "labels" / name, item.result.labels)
            if item.result.overlay is not None:
                if args.overlay:
                    images.write(args.output / "overlay" / name, item.result.overlay)
                if video:
                    video.write(item.result.overlay, item.frame.stamp_ns)
    if not summary.frames and not summary.refused:
        raise InputError(f"{args.input}: there is no frame in it")
    print(summary)
    return EXIT_SOME_REFUSED if summary.refused else 0


def _counted(
    frames: Iterator[SegmentedFrame | RefusedFrame], source: FrameSource, summary: _Summary
) -> Iterator[SegmentedFrame]:
    """Passes the segmented frames on; counts all, reports the refused ones, shows the progress."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from tdnet_offline.frames import RefusedFrame
    from tdnet_offline.refusals import Refusals

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} frames/s"),
    )
    refusals = Refusals(
        lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True)
    )
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(source.description, total=source.num_frames, rate=0.0)
        for item in frames:
            if isinstance(item, RefusedFrame):
                refusals.add(item)
                summary.refused = refusals.count
            else:
                summary.frames += 1
                if item.reset_reason not in (None, ResetReason.START):
                    summary.resets[item.reset_reason.value] += 1
                yield item
            elapsed = max(time.perf_counter() - summary.started, 1e-9)
            progress.update(task, advance=1, rate=summary.frames / elapsed)
