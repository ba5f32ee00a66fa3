"""Numbers of a run: frame counts, rates, and latency by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tdnet._util.percentiles import Percentiles, percentiles
from tdnet_ros.msg import SegmentationStatus
from tools.demo.recording import STAGES, stages_ms
from tools.demo.session import Session


@dataclass(frozen=True)
class FrameTotals:
    """Frame counts of a run; `sent` is the sum of the others.

    Attributes:
        sent: Frames published by the player.
        segmented: Frames whose outputs the node published.
        dropped: Frames superseded by a newer one.
        refused: Frames that the node could not use.
        unfinished: Frames in work when the run ended.
        lost: Frames that did not arrive at the node.
    """

    sent: int
    segmented: int
    dropped: int
    refused: int
    unfinished: int
    lost: int


@dataclass(frozen=True)
class Measures:
    """The numbers of a run.

    Attributes:
        frames: Frame counts.
        overlays: recorded overlay messages.
        input_rate: sent frames per second; 0 for a single frame.
        output_rate: segmented frames per second; 0 for a single frame.
        stages: latency by stage of the node.
        total: arrival at the node to its last publication.
        end_to_end: publication by the player to arrival of the overlay at the recorder.
        totals_ms: total of each segmented frame, with its time in seconds since the first frame.
        resets: number of memory resets by reason.
    """

    frames: FrameTotals
    overlays: int
    input_rate: float
    output_rate: float
    stages: dict[str, Percentiles]
    total: Percentiles | None
    end_to_end: Percentiles | None
    totals_ms: tuple[tuple[float, float], ...]
    resets: dict[str, int]


def measure(session: Session, statuses: Mapping[int, SegmentationStatus]) -> Measures:
    """Return the numbers of a run.

    Args:
        session: the run.
        statuses: status of each segmented frame, by its stamp.
    """
    counts, sent = session.view.counts, len(session.sent)
    sent_at = {message.stamp_ns: message.time_ns for message in session.sent}
    start = min(sent_at.values(), default=0)
    stages = [stages_ms(status) for status in statuses.values()]
    return Measures(
        frames=FrameTotals(
            sent=sent,
            segmented=counts.segmented,
            dropped=counts.dropped,
            refused=counts.refused,
            unfinished=counts.at_work,
            lost=sent - counts.received,
        ),
        overlays=len(session.arrivals),
        input_rate=_rate([message.time_ns for message in session.sent]),
        output_rate=_rate(list(session.arrivals.values())),
        stages={name: percentiles([frame[name] for frame in stages]) for name in STAGES}
        if stages
        else {},
        total=_percentiles([status.total_ms for status in statuses.values()]),
        end_to_end=_percentiles(
            [
                (at - sent_at[stamp]) / 1e6
                for stamp, at in session.arrivals.items()
                if stamp in sent_at
            ]
        ),
        totals_ms=tuple(
            ((sent_at[stamp] - start) / 1e9, status.total_ms)
            for stamp, status in statuses.items()
            if stamp in sent_at
        ),
        resets=dict(Counter(s.reset_reason for s in statuses.values() if s.reset_reason)),
    )


def _percentiles(values: Sequence[float]) -> Percentiles | None:
    return percentiles(values) if values else None


def _rate(times_ns: Sequence[int]) -> float:
    if len(times_ns) < 2 or times_ns[-1] == times_ns[0]:
        return 0.0
    return (len(times_ns) - 1) / (times_ns[-1] - times_ns[0]) * 1e9
