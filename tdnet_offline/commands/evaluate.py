"""`tdnet evaluate`: how good the labels are, how steady, and how long they take."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tdnet.continuity import DEFAULT_MAX_GAP
from tdnet.errors import InputError, one_line
from tdnet_offline.arguments import Subparsers, add_model_options, longest_gap, segmenter_settings
from tdnet_offline.datasets.registry import DATASETS, names_a_bag

if TYPE_CHECKING:
    from tdnet.class_map.model import ClassMap
    from tdnet_offline.damage import Damage
    from tdnet_offline.datasets import Dataset
    from tdnet_offline.evaluation.result import Evaluation
    from tdnet_offline.evaluation.sharding import Shard

EXIT_SOME_REFUSED = 1
MAX_WORST = 100
MAX_SEED = 2**32 - 1
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
        help=f"data set as NAME:ROOT (NAME: {', '.join(DATASETS)}), or bag",
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
        "--memory",
        choices=("full", "none", "foreign"),
        default="full",
        help="past that frames are segmented with: their own, none, or that of another video of "
        "the sources (default: %(default)s)",
    )
    parser.add_argument(
        "--damage",
        type=_damage,
        default="none",
        metavar="D",
        help="none, stripe=SHARE of the rows lost (0 to 0.9), or noise=STANDARD DEVIATION in grey "
        "levels (0 to 255), drawn for each frame (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=_seed,
        default=0,
        metavar="N",
        help="of the damage (default: %(default)s)",
    )
    parser.add_argument(
        "--stagger",
        action="store_true",
        help="begin the n-th video at its frame n mod N, or at its first labels if they come "
        "before, so that all N sub-networks meet labels",
    )
    parser.add_argument(
        "--max-gap",
        type=longest_gap,
        default=DEFAULT_MAX_GAP,
        metavar="S",
        help="seconds between frames above which the memory is reset; 0 follows the rate of the "
        "frames (default: %(default)s)",
    )
    parser.add_argument(
        "--report",
        metavar="DIR",
        type=Path,
        help=f"write {EVALUATION_NAME}, report.html and the worst frames there; also measure what "
        "withholding the memory costs",
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
    from tdnet_offline.evaluation.sharding import ToldElsewhere, join_processes

    with join_processes() as shard:
        try:
            with shard.together():
                earlier = [load_evaluation(path) for path in args.compare]
            fresh = [_evaluate(args, shard)] if args.sources else []
            with shard.together():
                if shard.rank == 0:
                    _show(fresh, earlier, args.report)
        except ToldElsewhere:
            return 0
    # torchrun ends all processes as soon as one has a status: the first one's is that of the run.
    refused = any(count for evaluation in fresh for count in evaluation.refused.values())
    return EXIT_SOME_REFUSED if refused and shard.rank == 0 else 0


def _evaluate(args: argparse.Namespace, shard: Shard) -> Evaluation:
    from tdnet_offline.evaluation.evaluating import evaluate
    from tdnet_offline.evaluation.pooling import pooled
    from tdnet_offline.refusals import Refusals

    with shard.together():
        segmenter = segmenter_settings(args).build()
        dataset = pooled([_open(source, args, segmenter.class_map) for source in args.sources])
        if not any(video.num_frames for video in dataset.videos):
            raise InputError(f"{args.sources[0]}: there is no frame in it")
        if args.report and shard.rank == 0:
            # Now, rather than after an hour, a place that cannot be written to is found out.
            _try_to_write(args.report)
    with _progress(dataset, args, shard) as (advance, say):
        return evaluate(
            dataset,
            segmenter,
            mode=args.mode,
            memory=args.memory,
            damage=args.damage,
            seed=args.seed,
            withhold=args.report is not None and args.memory == "full",
            weights=args.weights,
            max_gap=args.max_gap,
            worst=args.worst,
            stagger=args.stagger,
            shard=shard,
            on_frame=advance,
            on_refused=Refusals(say).add,
        )


def _try_to_write(directory: Path) -> None:
    """Makes the folder, and a file in it that is gone at once.

    Raises:
        OSError: one of the two is not possible.
    """
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(directory)) from error


def _open(source: str, args: argparse.Namespace, class_map: ClassMap) -> Dataset:
    from tdnet_offline.datasets import open_dataset
    from tdnet_offline.datasets.folder import CLASS_MAP

    # What a data set's labels mean it says itself, a bag does not; told otherwise, both follow,
    # but for a folder with a class map of its own: its labels have the ids and colours of that.
    name, _, root = source.partition(":")
    says_itself = name == "folder" and (Path(root) / CLASS_MAP).is_file()
    told = names_a_bag(source) or (args.class_map and not says_itself)
    # Beside bags, topics are theirs alone.
    any_bag = any(map(names_a_bag, args.sources))
    without = any_bag and not names_a_bag(source)
    return open_dataset(
        source,
        args.split,
        class_map=class_map if told else None,
        topic=None if without else args.topic,
        label_topic=None if without else args.label_topic,
    )


def _show(fresh: list[Evaluation], earlier: list[Evaluation], directory: Path | None) -> None:
    """Prints the evaluations, and writes them where asked to."""
    from rich.console import Console

    from tdnet_offline.evaluation.comparability import comparison_warning
    from tdnet_offline.evaluation.table import print_evaluations

    evaluations = [*fresh, *earlier]
    print_evaluations(evaluations, Console())
    warning = comparison_warning([evaluation.setting for evaluation in evaluations])
    if warning:
        print(f"warning: {one_line(warning)}", file=sys.stderr)
    if directory is None:
        return
    from tdnet_offline.evaluation.json_file import save_evaluation
    from tdnet_offline.evaluation.worst_frames import write_worst_frames
    from tdnet_offline.report import write_report

    for evaluation in fresh:
        save_evaluation(evaluation, directory / EVALUATION_NAME)
        write_worst_frames(evaluation.worst, directory / "worst")
    print(one_line(f"report: {write_report(directory, evaluations)}"))


@contextmanager
def _progress(
    dataset: Dataset, args: argparse.Namespace, shard: Shard
) -> Iterator[tuple[Callable[[], None], Callable[[str], None]]]:
    """Shows how far the first process is; gives what moves it on, and what says a line."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    sizes = [video.num_frames for video in dataset.videos]
    passes = 2 if args.mode == "paced" else 1
    total = passes * sum(sizes[number] for number in shard.share(sizes))
    columns = (TextColumn(args.mode), BarColumn(), MofNCompleteColumn(), Remaining())
    hidden = shard.rank > 0 or not sys.stderr.isatty()
    console = Console(stderr=True)

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    with Progress(*columns, console=console, disable=hidden) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task), say


def _damage(text: str) -> Damage:
    """Reads a damage; for argparse."""
    from tdnet_offline.damage import Damage

    try:
        return Damage.parse(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seed(text: str) -> int:
    """Reads a seed; for argparse."""
    if not text.isdecimal() or int(text) > MAX_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {MAX_SEED}")
    return int(text)


def _count(text: str) -> int:
    """Reads a number of frames from 0; for argparse."""
    if not text.isdecimal() or int(text) > MAX_WORST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {MAX_WORST}")
    return int(text)
