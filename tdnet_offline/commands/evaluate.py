"""`tdnet evaluate`: how good the labels are, how steady, and how long they take."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tdnet.continuity import DEFAULT_MAX_GAP
from tdnet.errors import InputError, TdnetError
from tdnet_offline.arguments import Subparsers, add_model_options, seconds, segmenter_settings

if TYPE_CHECKING:
    from tdnet.class_map import ClassMap
    from tdnet_offline.datasets import Dataset
    from tdnet_offline.evaluation.result import Evaluation
    from tdnet_offline.evaluation.sharding import Shard

EXIT_SOME_REFUSED = 1
EXIT_BAD_INPUT = 2
MAX_WORST = 100
EVALUATION_NAME = "evaluation.json"


def add_parser(subparsers: Subparsers) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a network on data sets and bags",
        description=(
            "Segments the frames of data sets or bags as the node does, and measures IoU, "
            "boundary F-score, temporal consistency and latency. Several sources count together; "
            "torchrun shares their videos among processes. Exit status 1 if some frames could "
            "not be read. docs/evaluation.md defines what is measured."
        ),
    )
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="data set as NAME:ROOT (NAME: cityscapes, camvid, nyudv2, folder, street), or bag",
    )
    parser.add_argument(
        "--split", default="val", help="part of a data set: train, val, test (default: val)"
    )
    parser.add_argument("--topic", help="image topic of a bag (default: its only one)")
    parser.add_argument("--label-topic", help="topic of a bag with the true labels")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--every-frame",
        dest="mode",
        action="store_const",
        const="every-frame",
        help="segment every frame, as fast as it goes (default)",
    )
    mode.add_argument(
        "--paced",
        dest="mode",
        action="store_const",
        const="paced",
        help="play bags in real time, where the newest frame wins, as on the robot",
    )
    parser.add_argument(
        "--stagger",
        action="store_true",
        help="begin the n-th video at its frame n mod N, so that all N sub-networks meet labels",
    )
    parser.add_argument(
        "--max-gap",
        type=seconds,
        default=DEFAULT_MAX_GAP,
        metavar="S",
        help="seconds between frames above which the memory is reset (default: %(default)s)",
    )
    parser.add_argument(
        "--report",
        metavar="DIR",
        type=Path,
        help=f"write {EVALUATION_NAME}, report.html and the worst frames there",
    )
    parser.add_argument(
        "--worst",
        type=_count,
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
    parser.set_defaults(run=run, mode="every-frame")


def run(args: argparse.Namespace) -> int:
    """Runs the command.

    Raises:
        TdnetError: nothing can be done with the sources, the weights or the options.
        OSError: an output cannot be written.
    """
    from tdnet_offline.evaluation.json_file import load_evaluation

    if not args.sources and not args.compare:
        raise InputError("nothing to evaluate; give a data set or a bag, or --compare JSON")
    earlier = [load_evaluation(path) for path in args.compare]
    if not args.sources:
        _show([], earlier, args.report)
        return 0

    from tdnet_offline.evaluation.sharding import join_processes

    with join_processes() as shard:
        try:
            evaluation = _evaluate(args, shard)
        except TdnetError:
            # All processes have it; the first one says so.
            if shard.rank:
                return EXIT_BAD_INPUT
            raise
        if shard.rank == 0:
            _show([evaluation], earlier, args.report)
    return EXIT_SOME_REFUSED if any(evaluation.refused.values()) else 0


def _evaluate(args: argparse.Namespace, shard: Shard) -> Evaluation:
    from tdnet_offline.evaluation.evaluating import evaluate
    from tdnet_offline.evaluation.pooling import pooled

    with shard.together():
        segmenter = segmenter_settings(args).build()
        dataset = pooled([_open(source, args, segmenter.class_map) for source in args.sources])
        if not any(video.num_frames for video in dataset.videos):
            raise InputError(f"{args.sources[0]}: there is no frame in it")
        if args.report and shard.rank == 0:
            # Now, rather than after an hour, a place that cannot be written to is found out.
            args.report.mkdir(parents=True, exist_ok=True)
    with _progress(dataset, args, shard) as advance:
        return evaluate(
            dataset,
            segmenter,
            mode=args.mode,
            weights=args.weights,
            max_gap=args.max_gap,
            worst=args.worst,
            stagger=args.stagger,
            shard=shard,
            on_frame=advance,
        )


def _open(source: str, args: argparse.Namespace, class_map: ClassMap) -> Dataset:
    from tdnet_offline.datasets import DATASETS, open_dataset
    from tdnet_offline.datasets.folder import CLASS_MAP

    # What a data set's labels mean it says itself, a bag does not; told otherwise, both follow,
    # but for a folder with a class map of its own: its labels have the ids and colours of that.
    name, _, root = source.partition(":")
    says_itself = name == "folder" and (Path(root) / CLASS_MAP).is_file()
    told = name not in DATASETS or (args.class_map and not says_itself)
    return open_dataset(
        source,
        args.split,
        class_map=class_map if told else None,
        topic=args.topic,
        label_topic=args.label_topic,
    )


def _show(fresh: list[Evaluation], earlier: list[Evaluation], directory: Path | None) -> None:
    """Prints the evaluations, and writes them where asked to."""
    from rich.console import Console

    from tdnet_offline.evaluation.table import print_evaluations

    print_evaluations([*fresh, *earlier], Console())
    if directory is None:
        return
    from tdnet_offline.evaluation.json_file import save_evaluation
    from tdnet_offline.evaluation.worst_frames import write_worst_frames
    from tdnet_offline.report import write_report

    for evaluation in fresh:
        save_evaluation(evaluation, directory / EVALUATION_NAME)
        write_worst_frames(evaluation.worst, directory / "worst")
    print(f"report: {write_report(directory, [*fresh, *earlier])}")


@contextmanager
def _progress(
    dataset: Dataset, args: argparse.Namespace, shard: Shard
) -> Iterator[Callable[[], None]]:
    """Shows how far the first process is with its share."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    sizes = [video.num_frames for video in dataset.videos]
    passes = 2 if args.mode == "paced" else 1
    total = passes * sum(sizes[number] for number in shard.share(sizes))
    columns = (TextColumn(args.mode), BarColumn(), MofNCompleteColumn(), Remaining())
    hidden = shard.rank > 0 or not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=hidden) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)


def _count(text: str) -> int:
    """Reads a number of frames from 0; for argparse."""
    if not text.isdecimal() or int(text) > MAX_WORST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {MAX_WORST}")
    return int(text)
