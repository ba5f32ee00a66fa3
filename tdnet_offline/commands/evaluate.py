"""`tdnet evaluate`: how good the labels are, how steady, and how long they take."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tdnet.errors import InputError, one_line
from tdnet_offline.arguments import (
    add_max_gap,
    add_model_options,
    add_smoothing,
    check_writable,
    segmenter_settings,
    whole_number,
)
from tdnet_offline.commands import ExitStatus
from tdnet_offline.datasets.registry import DATASETS

if TYPE_CHECKING:
    from tdnet_offline.evaluation.result import Evaluation
    from tdnet_offline.evaluation.shard import Shard

EVALUATION_NAME = "evaluation.json"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add description and options."""
    parser.description = (
        "Segments the frames of data sets or bags as the node does, and measures IoU, boundary "
        "F-score, temporal consistency and latency. Several sources count together; torchrun "
        "shares their videos among processes. Exit status 1 if some frames could not be read. "
        "docs/evaluation.md defines the measurements."
    )
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help=f"data set as NAME:ROOT (NAME: {', '.join(DATASETS)}), or bag",
    )
    parser.add_argument(
        "--split", default="val", help="part of a data set: train, val, test (default: val)"
    )
    parser.add_argument("--topic", help="image topic of a bag (default: its only one)")
    parser.add_argument("--label-topic", help="ground truth topic of a bag")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--every-frame",
        dest="mode",
        action="store_const",
        const="every-frame",
        default="every-frame",
        help="segment every frame, as fast as possible (default)",
    )
    mode.add_argument(
        "--paced",
        dest="mode",
        action="store_const",
        const="paced",
        help="play bags in real time: the newest frame wins, as on the robot",
    )
    parser.add_argument(
        "--memory",
        choices=("full", "none", "foreign"),
        default="full",
        help="past that frames are segmented with: their own, none, or that of another video of "
        "the sources (default: %(default)s)",
    )
    parser.add_argument(
        "--damage",
        default="none",
        metavar="D",
        help="none, stripe=SHARE of the rows lost (0 to 0.9), or noise=STANDARD DEVIATION in grey "
        "levels (0 to 255), drawn for each frame (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="of the damage (default: %(default)s)",
    )
    parser.add_argument(
        "--stagger",
        action="store_true",
        help="start the n-th video at its frame n mod N, or at its first labels if they are "
        "earlier, so that all N sub-networks get labels",
    )
    add_max_gap(parser)
    add_smoothing(parser)
    parser.add_argument(
        "--report",
        metavar="DIR",
        type=Path,
        help=f"write {EVALUATION_NAME}, report.html and the worst frames there; also measure the "
        "effect of withholding the memory",
    )
    parser.add_argument(
        "--worst",
        type=whole_number(0, 100),
        default=8,
        metavar="N",
        help="worst frames to keep as pictures (default: %(default)s)",
    )
    parser.add_argument(
        "--compare",
        nargs="+",
        type=Path,
        default=[],
        metavar="JSON",
        help=f"{EVALUATION_NAME} of earlier runs to show beside this one, or alone",
    )
    add_model_options(parser)


def run(args: argparse.Namespace) -> ExitStatus:
    """Run the command."""
    from tdnet_offline.evaluation.evaluation_file import load_evaluation

    if not args.sources and not args.compare:
        raise InputError("nothing to evaluate; give a data set or a bag, or --compare JSON")
    from tdnet_offline.evaluation.shard import ReportedElsewhere, join_processes

    with join_processes() as shard:
        try:
            with shard.together():
                earlier = [load_evaluation(path) for path in args.compare]
            fresh = [_evaluate(args, shard)] if args.sources else []
            with shard.together():
                if shard.rank == 0:
                    _show(fresh, earlier, args.report)
        except ReportedElsewhere:
            return ExitStatus.DONE
    # torchrun ends all processes as soon as one fails: only the first process has a bad status.
    refused = any(count for evaluation in fresh for count in evaluation.refused.values())
    return ExitStatus.INCOMPLETE if refused and shard.rank == 0 else ExitStatus.DONE


def _evaluate(args: argparse.Namespace, shard: Shard) -> Evaluation:
    from tdnet_offline.damage import Damage
    from tdnet_offline.evaluation.runner import evaluate
    from tdnet_offline.evaluation.sources import open_sources
    from tdnet_offline.progress import show_progress

    with shard.together():
        damage = Damage.parse(args.damage)
        segmenter = segmenter_settings(args).build()
        dataset = open_sources(
            args.sources,
            args.split,
            segmenter.class_map,
            keep_classes=not args.class_map,
            topic=args.topic,
            label_topic=args.label_topic,
        )
        if args.report and shard.rank == 0:
            check_writable(args.report)
    sizes = [video.num_frames for video in dataset.videos]
    passes = 2 if args.mode == "paced" else 1
    total = passes * sum(sizes[number] for number in shard.share(sizes))
    with show_progress(args.mode, total, visible=shard.rank == 0) as progress:
        return evaluate(
            dataset,
            segmenter,
            mode=args.mode,
            memory=args.memory,
            damage=damage,
            seed=args.seed,
            withhold=args.report is not None and args.memory == "full",
            weights=args.weights,
            max_gap=args.max_gap,
            smoothing=args.smoothing,
            worst=args.worst,
            stagger=args.stagger,
            shard=shard,
            on_frame=progress.advance,
            on_refused=progress.refuse,
        )


def _show(fresh: list[Evaluation], earlier: list[Evaluation], directory: Path | None) -> None:
    """Print the evaluations, and write them into a folder if one is given."""
    from rich.console import Console

    from tdnet_offline.evaluation.result import comparison_warning
    from tdnet_offline.evaluation.table import print_evaluations

    evaluations = [*fresh, *earlier]
    print_evaluations(evaluations, Console())
    warning = comparison_warning([evaluation.setting for evaluation in evaluations])
    if warning:
        print(f"warning: {one_line(warning)}", file=sys.stderr)
    if directory is None:
        return
    from tdnet_offline.evaluation.evaluation_file import save_evaluation
    from tdnet_offline.evaluation.worst_frames import write_worst_frames
    from tdnet_offline.report.evaluation_page import write_report

    for evaluation in fresh:
        save_evaluation(evaluation, directory / EVALUATION_NAME)
        write_worst_frames(evaluation.worst, directory / "worst")
    print(one_line(f"report: {write_report(directory, evaluations)}"))
