"""Evaluates a network on labelled videos, through the code that the node runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from tdnet.continuity import DEFAULT_MAX_GAP, ContinuityPolicy
from tdnet.postprocess import OutputOptions
from tdnet.streaming import StreamingSegmenter
from tdnet_offline.datasets.video import Dataset, LabelledVideo
from tdnet_offline.evaluation.confusion import Labels
from tdnet_offline.evaluation.merging import merge
from tdnet_offline.evaluation.newest_labels import NewestLabels
from tdnet_offline.evaluation.pacing import PacedRun, run_paced
from tdnet_offline.evaluation.result import Evaluation
from tdnet_offline.evaluation.scorer import DEFAULT_WORST, GivenLabels, Scorer, stages_ms
from tdnet_offline.evaluation.setting import check_same_classes, describe_setting
from tdnet_offline.evaluation.sharding import ALONE, Shard
from tdnet_offline.evaluation.video_frames import VideoFrames
from tdnet_offline.frames import RefusedFrame
from tdnet_offline.prediction import SegmentedFrame, segment_frames

Mode = Literal["every-frame", "paced"]

_OPTIONS = OutputOptions(confidence=False)


def evaluate(
    dataset: Dataset,
    segmenter: StreamingSegmenter,
    *,
    mode: Mode = "every-frame",
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
        weights: file that the network was loaded from, to be named in the result; empty for the
            packaged ones.
        max_gap: seconds between two frames above which the memory is emptied.
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
            damaged, or a frame has no stamp, or all have the same, when paced.
        DeviceError: the device failed.
        OSError: the video cannot keep what it renders.
        ToldElsewhere: another process had an error.
    """
    check_same_classes(segmenter.class_map, dataset.class_map)
    setting = describe_setting(dataset, segmenter, mode, weights, shard.processes)
    scorer = Scorer(dataset.class_map, worst, paced=mode == "paced")
    started = time.monotonic()
    # An error ends this process at once: the others may have hours to go before they ask.
    for number in shard.share([video.num_frames for video in dataset.videos]):
        video = dataset.videos[number]
        first = number % segmenter.variant.paths if stagger else 0
        run = _VideoRun(video, first, segmenter, max_gap, on_frame, on_refused)
        if mode == "paced":
            run.score_paced(scorer)
        else:
            run.score_every_frame(scorer)
    part = scorer.evaluation(setting, time.monotonic() - started)
    names = [video.name for video in dataset.videos]
    return merge(shard.gather(part), names, worst)


class _VideoRun:
    """One video through the network."""

    def __init__(
        self,
        video: LabelledVideo,
        first: int,
        segmenter: StreamingSegmenter,
        max_gap: float,
        on_frame: Callable[[], None],
        on_refused: Callable[[RefusedFrame], None],
    ) -> None:
        self._video = video
        # No frame with labels is left out.
        first = min([first, video.num_frames, *video.labelled[:1]])
        self._indices = range(first, video.num_frames)
        self._labelled = frozenset(video.labelled)
        self._segmenter = segmenter
        self._max_gap = max_gap
        self._on_frame = on_frame
        self._on_refused = on_refused

    def score_every_frame(self, scorer: Scorer) -> None:
        scorer.start(self._video.name)
        for index, item in self._segmented(self._indices):
            if isinstance(item, RefusedFrame):
                scorer.refuse()
            else:
                times = stages_ms(item.result.times)
                scorer.add(index, item.frame, _given(item, times), self._truth(index))
            self._on_frame()
        self._count_damage(scorer)

    def score_paced(self, scorer: Scorer) -> None:
        """Score what the network got to in real time, and what an application saw meanwhile."""
        paced = self._play()
        refused = len(self._indices) - len(paced.due)
        scorer.start(self._video.name, len(paced.due) - len(paced.segmented), paced.waited)
        for _ in range(refused):
            scorer.refuse()
        indices = [self._indices[number] for number in sorted(paced.segmented)]
        again = self._segmented(indices)
        newest = NewestLabels()
        for number, index in enumerate(self._indices):
            truth = self._truth(index) if number in paced.due else None
            seen = newest.at(paced.due[number]) if number in paced.due else None
            if seen is not None and truth is not None:
                scorer.newest(seen, truth)
            if number in paced.segmented:
                frame = paced.segmented[number]
                _, item = next(again)
                if isinstance(item, RefusedFrame):
                    scorer.refuse()
                else:
                    age = (frame.done - paced.due[number]) * 1e3
                    given = _given(item, stages_ms(frame.times), age)
                    scorer.add(index, item.frame, given, truth)
                    newest.add(frame.done, given.labels)
            self._on_frame()
        self._count_damage(scorer)

    def _count_damage(self, scorer: Scorer) -> None:
        """Count what is missing at the end of a damaged recording: it has no number any more."""
        if self._video.damage is not None:
            self._on_refused(RefusedFrame(f"the end of {self._video.name}", self._video.damage))
            scorer.refuse()

    def _play(self) -> PacedRun:
        source = VideoFrames(self._video, self._indices, self._on_refused)
        policy = ContinuityPolicy(self._max_gap)
        return run_paced(source, self._segmenter, _OPTIONS, policy, self._on_frame)

    def _segmented(
        self, indices: Sequence[int]
    ) -> Iterator[tuple[int, SegmentedFrame | RefusedFrame]]:
        source = VideoFrames(self._video, indices, self._on_refused)
        policy = ContinuityPolicy(self._max_gap)
        frames = segment_frames(source, self._segmenter, _OPTIONS, policy)
        return zip(indices, frames, strict=True)

    def _truth(self, index: int) -> Labels | None:
        return self._video.labels(index) if index in self._labelled else None


def _given(
    item: SegmentedFrame, times: Mapping[str, float], age_ms: float | None = None
) -> GivenLabels:
    return GivenLabels(
        labels=item.result.labels,
        path=item.result.path,
        memory_frames=item.result.memory_frames,
        reset_reason=item.reset_reason,
        stages_ms=dict(times),
        age_ms=age_ms,
    )
