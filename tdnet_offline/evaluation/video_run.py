"""One video of an evaluation: its frames through the network, their labels to the scorer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tdnet._util.stage_clock import StageTimes
from tdnet.continuity import ContinuityPolicy
from tdnet.frames.postprocess import OutputOptions
from tdnet.segmenter import StreamingSegmenter
from tdnet_offline.damage import Damage
from tdnet_offline.datasets.video import LabelledVideo
from tdnet_offline.evaluation.confusion import Labels
from tdnet_offline.evaluation.memory_control import (
    ForeignMemory,
    MemoryMode,
    WithholdingStep,
    other_video,
    step_without_memory,
)
from tdnet_offline.evaluation.paced_run import run_paced
from tdnet_offline.evaluation.result import FrameRecord
from tdnet_offline.evaluation.scorer import Scorer
from tdnet_offline.evaluation.video_frames import VideoFrame, VideoFrames
from tdnet_offline.frames import RefusedFrame
from tdnet_offline.prediction import FrameStep, SegmentedFrame, segment_frames, step


@dataclass(frozen=True)
class RunOptions:
    """Options of all videos of a run; see `tdnet_offline.evaluation.runner`."""

    memory: MemoryMode
    damage: Damage
    seed: int
    withhold: bool
    max_gap: float
    outputs: OutputOptions
    on_frame: Callable[[], None]
    on_refused: Callable[[RefusedFrame], None]


class VideoRun:
    """Video `number` through the network, to a scorer.

    It starts at frame `first`, or at its first labels if they are earlier.
    """

    def __init__(
        self,
        videos: Sequence[LabelledVideo],
        number: int,
        first: int,
        segmenter: StreamingSegmenter,
        options: RunOptions,
        scorer: Scorer,
    ) -> None:
        self._video = video = videos[number]
        first = min([first, video.num_frames, *video.labelled[:1]])
        self._indices = range(first, video.num_frames)
        self._labelled = frozenset(video.labelled)
        self._segmenter, self._options, self._scorer = segmenter, options, scorer
        self._flow = video.exact_flow
        self._other = other_video(videos, number) if options.memory == "foreign" else None

    def score_every_frame(self) -> None:
        """Segment and score all frames in order."""
        self._scorer.start(self._video.name, flow=self._flow)
        for index, item, without_memory in self._segmented(self._indices):
            if isinstance(item, RefusedFrame):
                self._scorer.refuse(self._video.name)
            else:
                self._score(item, self._ground_truth(index), without_memory)
            self._options.on_frame()
        self._count_end()

    def score_paced(self) -> None:
        """Score the frames segmented in real time, and the newest labels at each due frame."""
        # Timing does not depend on the content of the memory: foreign is timed like full.
        paced = run_paced(
            self._source(self._video, self._indices, self._options.on_refused),
            self._segmenter,
            self._options.outputs,
            ContinuityPolicy(self._options.max_gap),
            self._options.on_frame,
            step_without_memory if self._options.memory == "none" else step,
        )
        self._scorer.start(
            self._video.name,
            dropped=len(paced.due) - len(paced.segmented),
            refused=len(self._indices) - len(paced.due),
            waited=paced.waited,
            flow=self._flow,
        )
        again = self._segmented([self._indices[number] for number in sorted(paced.segmented)])
        coming: deque[tuple[float, Labels]] = deque()
        newest: Labels | None = None
        for number, index in enumerate(self._indices):
            due = paced.due.get(number)
            if due is not None:
                ground_truth = self._ground_truth(index)
                while coming and coming[0][0] <= due:
                    newest = coming.popleft()[1]
                if newest is not None and ground_truth is not None:
                    self._scorer.newest(newest, ground_truth)
                if number in paced.segmented:
                    frame = paced.segmented[number]
                    _, item, without_memory = next(again)
                    if isinstance(item, RefusedFrame):
                        self._scorer.refuse(self._video.name)
                    else:
                        age = (frame.done - due) * 1e3
                        self._score(item, ground_truth, without_memory, frame.times, age)
                        coming.append((frame.done, item.result.labels))
            self._options.on_frame()
        self._count_end()

    def _score(
        self,
        segmented: SegmentedFrame,
        ground_truth: Labels | None,
        without_memory: Labels | None,
        times: StageTimes | None = None,
        age_ms: float | None = None,
    ) -> None:
        frame, result, reason = segmented.frame, segmented.result, segmented.reset_reason
        assert isinstance(frame, VideoFrame)
        times = times or result.times
        stages = ("preprocess", "network", "postprocess", "download", "total")
        record = FrameRecord(
            video=self._video.name,
            index=frame.index,
            name=frame.name,
            stamp_ns=frame.stamp_ns,
            path=result.path,
            memory_frames=result.memory_frames,
            reset_reason=reason and reason.value,
            stages_ms={stage: getattr(times, stage) for stage in stages},
            age_ms=age_ms,
        )
        self._scorer.add(
            record,
            result.labels,
            ground_truth,
            frame.undamaged,
            shown=frame.image,
            labels_without_memory=without_memory,
        )

    def _count_end(self) -> None:
        """Count the frames behind the damage of a recording as one refused frame."""
        name, damage = self._video.name, self._video.damage
        if damage is not None:
            self._options.on_refused(RefusedFrame(f"the end of {name}", damage))
            self._scorer.refuse(name)

    def _segmented(
        self, indices: Sequence[int]
    ) -> Iterator[tuple[int, SegmentedFrame | RefusedFrame, Labels | None]]:
        """Yield index, segmented frame, and its labels without memory if they were computed."""
        source = self._source(self._video, indices, self._options.on_refused)
        policy = ContinuityPolicy(self._options.max_gap)
        frame_step = self._frame_step(indices)
        frames = segment_frames(source, self._segmenter, self._options.outputs, policy, frame_step)
        for index, item in zip(indices, frames, strict=True):
            withheld = frame_step.labels if isinstance(frame_step, WithholdingStep) else None
            yield index, item, withheld

    def _frame_step(self, indices: Sequence[int]) -> FrameStep:
        """Return the step for the memory that frames are segmented with."""
        if self._options.memory == "none":
            return step_without_memory
        if self._other is not None:
            same = [index % self._other.num_frames for index in indices]
            return ForeignMemory(self._source(self._other, same))
        capacity = self._segmenter.memory_capacity
        if self._options.withhold and capacity:
            return WithholdingStep(self._labelled, capacity)
        return step

    def _source(
        self,
        video: LabelledVideo,
        indices: Sequence[int],
        on_refused: Callable[[RefusedFrame], None] = lambda _: None,
    ) -> VideoFrames:
        return VideoFrames(video, indices, on_refused, self._options.damage, self._options.seed)

    def _ground_truth(self, index: int) -> Labels | None:
        return self._video.labels(index) if index in self._labelled else None
