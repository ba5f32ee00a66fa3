"""Evaluation of a network on labelled videos, through the code that the node runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, Literal, TypeVar

from tdnet.continuity import DEFAULT_MAX_GAP
from tdnet.errors import InputError
from tdnet.frames.postprocess import OutputOptions
from tdnet.segmenter import StreamingSegmenter
from tdnet_offline import provenance
from tdnet_offline.damage import NO_DAMAGE, Damage
from tdnet_offline.datasets.video import Dataset
from tdnet_offline.evaluation.memory_control import MemoryMode, check_memory_mode
from tdnet_offline.evaluation.result import PACKAGED, Counts, Evaluation, Setting, WithheldMemory
from tdnet_offline.evaluation.scorer import DEFAULT_WORST, Scorer
from tdnet_offline.evaluation.shard import ALONE, Shard
from tdnet_offline.evaluation.sources import check_same_classes, source_name
from tdnet_offline.evaluation.video_run import RunOptions, VideoRun
from tdnet_offline.evaluation.worst_frames import worst_of
from tdnet_offline.frames import RefusedFrame

Mode = Literal["every-frame", "paced"]
_FLOW = {True: "exact", False: "estimated"}
_Summand = TypeVar("_Summand", Counts, WithheldMemory)


def evaluate(
    dataset: Dataset,
    segmenter: StreamingSegmenter,
    *,
    mode: Mode = "every-frame",
    memory: MemoryMode = "full",
    damage: Damage = NO_DAMAGE,
    seed: int = 0,
    withhold: bool = False,
    weights: str = "",
    max_gap: float = DEFAULT_MAX_GAP,
    smoothing: float = 0.0,
    worst: int = DEFAULT_WORST,
    stagger: bool = False,
    consistency: bool = True,
    shard: Shard = ALONE,
    on_frame: Callable[[], None] = lambda: None,
    on_refused: Callable[[RefusedFrame], None] = lambda _: None,
) -> Evaluation:
    """Segment the frames of every video in order, each video from an empty memory, and score them.

    A paced run plays each video in real time and keeps only the timing. It then segments the same
    frames again and scores them: the labels are the same, and scoring does not count as latency.

    Args:
        dataset: videos with some, all or none of their frames labelled.
        segmenter: the network; its class map has the same names for the ids of the data set.
        mode: ``every-frame``, or ``paced``: in real time by the stamps, the newest frame wins.
        memory: past that a frame is segmented with: its own, none, or that of the next video
            that has frames.
        damage: of each camera image; consistency is measured with the flow of undamaged images.
        seed: of the damage, from 0.
        withhold: also segment each labelled frame with a full memory without its memory, and
            count the changes; only with memory ``full``, and a network that has a memory.
        weights: file that the network was loaded from, for the result; empty: packaged weights.
        max_gap: seconds between two frames above which the memory is emptied; 0: automatic, see
            `tdnet.continuity.ContinuityPolicy`.
        smoothing: see `tdnet.frames.smoothing`.
        worst: number of the worst frames that are kept as pictures.
        stagger: start the n-th video at its frame n mod N, or at its first labels if they are
            earlier, so that each of the N sub-networks gets its share of the labels if only the
            same frame of every video has labels.
        consistency: measure the temporal consistency. False saves its optical flow; VC8 and VC16
            are measured anyway.
        shard: this process among those that share the videos; all of them return the result.
        on_frame: called for every frame of this process' videos; twice in a paced run.
        on_refused: called for every frame that cannot be read; the frames behind the damage of a
            recording count as one.

    Raises:
        InputError: class map and network do not fit each other or the data set; labels are
            damaged; a paced frame has no stamp, or all stamps are equal; network or data set do
            not allow the memory.
        DeviceError: the device failed.
        OSError: the video cannot cache what it renders.
        ReportedElsewhere: another process had an error.
    """
    check_same_classes(segmenter.class_map, dataset.class_map)
    check_memory_mode(memory, segmenter.variant, dataset)
    if smoothing and memory != "full":
        raise InputError(
            f"smoothing is {smoothing} and memory is {memory}: a frame's past is withheld from "
            "both; measure one at a time"
        )
    setting = _setting(
        dataset,
        segmenter,
        weights,
        mode=mode,
        processes=shard.processes,
        flow=" and ".join(
            sorted({_FLOW[video.exact_flow is not None] for video in dataset.videos})
        )
        if consistency
        else "",
        memory=memory,
        damage=str(damage),
        seed=seed,
        smoothing=smoothing,
    )
    outputs = OutputOptions(confidence=False, smoothing=smoothing)
    # What the memory is worth is measured without smoothing, which is withheld with it.
    withhold = withhold and not smoothing
    options = RunOptions(memory, damage, seed, withhold, max_gap, outputs, on_frame, on_refused)
    scorer = Scorer(dataset.class_map, worst, paced=mode == "paced", consistency=consistency)
    started = time.monotonic()
    # An error ends this process at once: the others may run for hours before they gather.
    for number in shard.share([video.num_frames for video in dataset.videos]):
        first = number % segmenter.variant.paths if stagger else 0
        run = VideoRun(dataset.videos, number, first, segmenter, options, scorer)
        if mode == "paced":
            run.score_paced()
        else:
            run.score_every_frame()
    part = scorer.evaluation(setting, time.monotonic() - started)
    names = [video.name for video in dataset.videos]
    return merge(shard.gather(part), names, worst)


def merge(parts: Sequence[Evaluation], videos: Sequence[str], worst: int) -> Evaluation:
    """Add up evaluations of different videos with the same setting, and keep the worst frames.

    The result is the evaluation that one process would have made of all videos, in their order;
    its time is the longest.
    """
    place = {name: number for number, name in enumerate(videos)}
    records = [record for part in parts for record in part.frames]
    keys = sorted({key for part in parts for key in part.confusions})

    def by_video(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
        counts = {name: count for part in parts for name, count in part.items()}
        return {name: counts[name] for name in videos if name in counts}

    return replace(
        parts[0],
        confusions={
            key: reduce(add, [part.confusions[key] for part in parts if key in part.confusions])
            for key in keys
        },
        boundary=reduce(add, [part.boundary for part in parts]),
        consistency=reduce(add, [part.consistency for part in parts]),
        truth_consistency=_total(part.truth_consistency for part in parts),
        frames=tuple(sorted(records, key=lambda record: (place[record.video], record.index))),
        dropped=by_video(part.dropped for part in parts),
        refused=by_video(part.refused for part in parts),
        seconds=max(part.seconds for part in parts),
        worst=tuple(worst_of([frame for part in parts for frame in part.worst], worst)),
        available=_total(part.available for part in parts),
        waited_seconds=sum(part.waited_seconds for part in parts),
        withheld_memory=_total(part.withheld_memory for part in parts),
    )


def _total(parts: Iterable[_Summand | None]) -> _Summand | None:
    """Add up the counts that were measured; None if none were."""
    measured = [part for part in parts if part is not None]
    return reduce(add, measured) if measured else None


def _setting(
    dataset: Dataset,
    segmenter: StreamingSegmenter,
    weights: str,
    **options: Any,  # noqa: ANN401
) -> Setting:
    """Describe network, source and machine, beside the options of the run."""
    return Setting(
        source=source_name(dataset),
        split=dataset.split,
        variant=segmenter.variant.name,
        weights=Path(weights).name if weights else PACKAGED,
        weights_sha256=provenance.weights_sha256(weights, segmenter.variant.name),
        input_size=segmenter.input_size,
        device=str(segmenter.device),
        precision=segmenter.precision,
        class_names={entry.id: entry.name for entry in dataset.class_map.classes},
        class_colors={entry.id: entry.color for entry in dataset.class_map.classes},
        **provenance.origin(),
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        runtime=segmenter.runtime,
        **options,
    )
