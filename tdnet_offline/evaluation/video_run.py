"""One video of an evaluation: its frames through the network, their labels to the scorer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

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
from tdnet_offline.evaluation.paced_run import NewestLabels, PacedRun, run_paced
from tdnet_offline.evaluation.scorer import Prediction, Scorer, stages_ms
from tdnet_offline.evaluation.video_frames import VideoFrame, VideoFrames
from tdnet_offline.frames import Frame, RefusedFrame
from tdnet_offline.prediction import FrameStep, SegmentedFrame, segment_frames, step

_OPTIONS = OutputOptions(confidence=False)


@dataclass(frozen=True)
class RunOptions:
    """Options of all videos of a run; see `tdnet_offline.evaluation.runner`."""

    memory: MemoryMode
    damage: Damage
    seed: int
    withhold: bool
    max_gap: float
    on_frame: Callable[[], None]
    on_refused: Callable[[RefusedFrame], None]


class VideoRun:
    """One video through the network.

    Args:
        videos: of the data set.
        number: of the video among them.
        first: index of the first frame, unless a labelled frame is earlier.
        segmenter: the network.
        options: of the run.
    """

    def __init__(
        self,
        videos: Sequence[LabelledVideo],
        number: int,
        first: int,
        segmenter: StreamingSegmenter,
        options: RunOptions,
    ) -> None:
        self._video = video = videos[number]
        first = min([first, video.num_frames, *video.labelled[:1]])
        self._indices = range(first, video.num_frames)
        self._labelled = frozenset(video.labelled)
        self._segmenter = segmenter
        self._options = options
        self._other = other_video(videos, number) if options.memory == "foreign" else None

    def score_every_frame(self, scorer: Scorer) -> None:
        """Segment and score all frames in order."""
        scorer.start(self._video.name)
        for index, item in self._segmented(self._indices):
            if isinstance(item, RefusedFrame):
                scorer.refuse()
            else:
                prediction = item.prediction(stages_ms(item.segmented.result.times))
                scorer.add(index, item.camera_frame, prediction, self._ground_truth(index))
            self._options.on_frame()
        self._count_end(scorer)

    def score_paced(self, scorer: Scorer) -> None:
        """Score the frames segmented in real time, and the newest labels at each due frame."""
        paced = self._play()
        refused = len(self._indices) - len(paced.due)
        scorer.start(self._video.name, len(paced.due) - len(paced.segmented), paced.waited)
        for _ in range(refused):
            scorer.refuse()
        indices = [self._indices[number] for number in sorted(paced.segmented)]
        again = self._segmented(indices)
        newest = NewestLabels()
        for number, index in enumerate(self._indices):
            ground_truth = self._ground_truth(index) if number in paced.due else None
            seen = newest.at(paced.due[number]) if number in paced.due else None
            if seen is not None and ground_truth is not None:
                scorer.newest(seen, ground_truth)
            if number in paced.segmented:
                frame = paced.segmented[number]
                _, item = next(again)
                if isinstance(item, RefusedFrame):
                    scorer.refuse()
                else:
                    age = (frame.done - paced.due[number]) * 1e3
                    prediction = item.prediction(stages_ms(frame.times), age)
                    scorer.add(index, item.camera_frame, prediction, ground_truth)
                    newest.add(frame.done, prediction.labels)
            self._options.on_frame()
        self._count_end(scorer)

    def _count_end(self, scorer: Scorer) -> None:
        """Count the frames behind the damage of a recording as one refused frame."""
        if self._video.damage is not None:
            self._options.on_refused(
                RefusedFrame(f"the end of {self._video.name}", self._video.damage)
            )
            scorer.refuse()

    def _play(self) -> PacedRun:
        # Timing does not depend on the content of the memory: foreign is timed like full.
        without = self._options.memory == "none"
        return run_paced(
            self._source(self._video, self._indices, self._options.on_refused),
            self._segmenter,
            _OPTIONS,
            ContinuityPolicy(self._options.max_gap),
            self._options.on_frame,
            step_without_memory if without else step,
        )

    def _segmented(
        self, indices: Sequence[int]
    ) -> Iterator[tuple[int, _ScoredFrame | RefusedFrame]]:
        source = self._source(self._video, indices, self._options.on_refused)
        policy = ContinuityPolicy(self._options.max_gap)
        frame_step = self._frame_step(indices)
        frames = segment_frames(source, self._segmenter, _OPTIONS, policy, frame_step)
        for index, item in zip(indices, frames, strict=True):
            if isinstance(item, RefusedFrame):
                yield index, item
            elif isinstance(frame_step, WithholdingStep):
                yield index, _ScoredFrame(item, frame_step.labels)
            else:
                yield index, _ScoredFrame(item)

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


@dataclass(frozen=True)
class _ScoredFrame:
    """A segmented frame of the video.

    Attributes:
        segmented: with its memory.
        without_memory: labels without its memory; None if not computed.
    """

    segmented: SegmentedFrame
    without_memory: Labels | None = None

    @property
    def camera_frame(self) -> Frame:
        """The undamaged frame."""
        frame = self.segmented.frame
        return replace(frame, image=frame.undamaged) if isinstance(frame, VideoFrame) else frame

    def prediction(self, times: Mapping[str, float], age_ms: float | None = None) -> Prediction:
        result = self.segmented.result
        return Prediction(
            labels=result.labels,
            path=result.path,
            memory_frames=result.memory_frames,
            reset_reason=self.segmented.reset_reason,
            stages_ms=dict(times),
            age_ms=age_ms,
            image=self.segmented.frame.image,
            labels_without_memory=self.without_memory,
        )
