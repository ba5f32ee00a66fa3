"""`tdnet predict`: labels, and pictures of them, for the frames of a folder, a video or a bag."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tdnet.continuity import ContinuityPolicy, ResetReason
from tdnet.errors import InputError
from tdnet_offline.arguments import (
    add_max_gap,
    add_model_options,
    add_smoothing,
    output_size,
    segmenter_settings,
)
from tdnet_offline.commands import ExitStatus


def configure(parser: argparse.ArgumentParser) -> None:
    """Add description and options."""
    parser.description = (
        "Segments frames in order and writes DIR/labels/NAME.png: 8-bit class ids, "
        "255 = unlabelled. Exit status 1 if some frames could not be read."
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
    add_max_gap(parser)
    add_smoothing(parser)
    add_model_options(parser)


def run(args: argparse.Namespace) -> ExitStatus:
    """Run the command."""
    from tdnet.frames.postprocess import OutputOptions
    from tdnet.overlay.renderer import OverlayRenderer
    from tdnet_offline.frames import RefusedFrame, open_source
    from tdnet_offline.prediction import segment_frames
    from tdnet_offline.progress import show_progress
    from tdnet_offline.writers.images import PngWriter
    from tdnet_offline.writers.video import VideoWriter

    size = output_size(args.output_size)
    source = open_source(args.input, args.topic)
    segmented = 0
    resets: Counter[str] = Counter()
    with ExitStack() as resources:
        # Before the network is loaded, so that a wrong name is reported at once.
        video = args.video and resources.enter_context(VideoWriter(args.video, source.frame_rate))
        segmenter = segmenter_settings(args).build()
        overlay = None
        if args.overlay or video:
            overlay = OverlayRenderer(segmenter.class_map, device=segmenter.device)
        (args.output / "labels").mkdir(parents=True, exist_ok=True)
        images = resources.enter_context(PngWriter())
        options = OutputOptions(
            size=size, confidence=False, overlay=overlay, smoothing=args.smoothing
        )
        started = time.perf_counter()
        progress = resources.enter_context(show_progress(source.description, source.num_frames))
        for item in segment_frames(source, segmenter, options, ContinuityPolicy(args.max_gap)):
            progress.advance()
            if isinstance(item, RefusedFrame):
                progress.refuse(item)
                continue
            segmented += 1
            if item.reset_reason not in (None, ResetReason.START):
                resets[item.reset_reason.value] += 1
            name = f"{item.frame.name}.png"
            images.write(args.output / "labels" / name, item.result.labels)
            if item.result.overlay is not None:
                if args.overlay:
                    images.write(args.output / "overlay" / name, item.result.overlay)
                if video:
                    video.write(item.result.overlay, item.frame.stamp_ns)
    if not segmented and not progress.refused:
        raise InputError(f"{args.input}: there is no frame in it")
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(resets.items()))
    print(
        f"{segmented} frames segmented, {progress.refused} refused, {resets.total()} memory resets"
        f"{f' ({reasons})' if reasons else ''}, "
        f"{segmented / max(time.perf_counter() - started, 1e-9):.1f} frames/s"
    )
    return ExitStatus.INCOMPLETE if progress.refused else ExitStatus.DONE
