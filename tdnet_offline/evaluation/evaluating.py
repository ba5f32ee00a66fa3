"""Evaluates a network on labelled videos, through the code that the node runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from tdnet.continuity import DEFAULT_MAX_GAP
from tdnet.errors import InputError
from tdnet.segmenter import StreamingSegmenter
from tdnet_offline.damage import NO_DAMAGE, Damage
from tdnet_offline.datasets.video import Dataset
from tdnet_offline.evaluation.memory_control import MemoryMode, check_memory_mode
from tdnet_offline.evaluation.merging import merge
from tdnet_offline.evaluation.result import Evaluation
from tdnet_offline.evaluation.scorer import DEFAULT_WORST, Scorer
from tdnet_offline.evaluation.setting import check_same_classes, describe_setting
from tdnet_offline.evaluation.sharding import ALONE, Shard
from tdnet_offline.evaluation.video_run import RunOptions, VideoRun
from tdnet_offline.frames import RefusedFrame

Mode = Literal["every-frame", "paced"]


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
    worst: int = DEFAULT_WORST,
    stagger: bool = False,
    shard: Shard = ALONE,
    on_frame: Callable[[], None] = lambda: None,
    on_refused: Callable[[RefusedFrame], None] = lambda _: None,
) -> Evaluation:
    """Segment the frames of every video in order, each video from an empty memory, and score them.

    Paced, each video is first played in real time, and nothing but its timing is kept; then the
    frames that were segmented are segmented again and scored. The same frames give the same
    labels, and scoring takes no time from what is timed.

    Args:
        dataset: videos with some, all or none of their frames labelled.
        segmenter: the network; its class map gives the data set's ids the same names.
        mode: ``every-frame``, or ``paced``: in real time by the stamps, the newest frame wins.
        memory: the past that a frame is segmented with: its own, none, or that of the next video
            that has frames.
        damage: done to each camera image before it is segmented; consistency is measured with
            the flow of the undamaged images.
        seed: of the damage, from 0.
        withhold: also segment each labelled frame whose memory is full without its memory, and
            count what that changes; only with memory ``full``, and a network that has one.
        weights: file that the network was loaded from, to be named in the result; empty for the
            packaged ones.
        max_gap: seconds between two frames above which the memory is emptied; 0: automatic, see
            `tdnet.continuity.ContinuityPolicy`.
        worst: how many of the worst frames are kept as pictures.
        stagger: begin the n-th video at its frame n mod N, or at its first labels if they come
            before, so that each of the N sub-networks gets its share of the labels where only the
            same frame of every video has some.
        shard: this process among those that share the videos; all of them return the result.
        on_frame: called for every frame of this process' videos; when paced, twice.
        on_refused: called for every frame of them that cannot be read; and once for the frames
            behind the damage of a recording, which count as one.

    Raises:
        InputError: class map and network do not fit each other or the data set, labels are
            damaged, or a frame has no stamp, or all have the same, when paced; network or data
            set do not allow the memory, or the seed is below 0.
        DeviceError: the device failed.
        OSError: the video cannot keep what it renders.
        ToldElsewhere: another process had an error.
    """
    check_same_classes(segmenter.class_map, dataset.class_map)
    check_memory_mode(memory, segmenter.variant, dataset)
    if seed < 0:
        raise InputError(f"seed is {seed}; allowed are whole numbers from 0")
    setting = describe_setting(
        dataset,
        segmenter,
        mode,
        weights,
        shard.processes,
        memory=memory,
        damage=damage,
        seed=seed,
    )
    options = RunOptions(memory, damage, seed, withhold, max_gap, on_frame, on_refused)
    scorer = Scorer(dataset.class_map, worst, paced=mode == "paced")
    started = time.monotonic()
    # An error ends this process at once: the others may have hours to go before they ask.
    for number in shard.share([video.num_frames for video in dataset.videos]):
        first = number % segmenter.variant.paths if stagger else 0
        run = VideoRun(dataset.videos, number, first, segmenter, options)
        if mode == "paced":
            run.score_paced(scorer)
        else:
            run.score_every_frame(scorer)
    part = scorer.evaluation(setting, time.monotonic() - started)
    names = [video.name for video in dataset.videos]
    return merge(shard.gather(part), names, worst)
