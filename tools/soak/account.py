"""What became of the frames of one phase, and whether the sums agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tools.harness.node_view import FrameCounts
from tools.harness.percentiles import Percentiles

STEADY, STAMPS_BACK = "steady", "stamps back"


@dataclass
class Heard:
    """What the node's outputs said during one phase.

    Attributes:
        stamps: of each label image.
        arrivals: steady clock in seconds of each label image.
        ages_ms: stamp to publication of each frame.
        work_ms: of each frame, without its wait.
        publish_ms: of it, to publish the outputs.
        resets: how often the memory was emptied, by reason.
        wrong: what was wrong with an output, a line each.
        checked: label images recognised as their own frame's.
        replayed: label images equal to those of the library for the same frames.
    """

    stamps: Counter[int] = field(default_factory=Counter)
    arrivals: list[float] = field(default_factory=list)
    ages_ms: list[float] = field(default_factory=list)
    work_ms: list[float] = field(default_factory=list)
    publish_ms: list[float] = field(default_factory=list)
    resets: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    checked: int = 0
    replayed: int = 0

    @property
    def longest_gap(self) -> float | None:
        """Seconds between two outputs; None: there were fewer."""
        return float(np.diff(self.arrivals).max()) if len(self.arrivals) > 1 else None


@dataclass
class Tally:
    """Sums the node's counts over its lives and activations, each of which counts from zero."""

    last: FrameCounts = field(default_factory=FrameCounts)
    sums: FrameCounts = field(default_factory=FrameCounts)

    def see(self, counts: FrameCounts) -> None:
        """Take counts from the node; older ones than the last are left aside."""
        if counts.received >= self.last.received and counts.at_work <= counts.received:
            self.last = counts

    def restart(self) -> None:
        """The node counts from zero from now on; what was at work before is lost."""
        self.sums = plus(self.sums, replace(self.last, received=answered(self.last)))
        self.last = FrameCounts()

    @property
    def total(self) -> FrameCounts:
        """Everything that the node has counted so far."""
        return plus(self.sums, self.last)


@dataclass
class Phase:
    """One fault, from start until the node has answered everything.

    Attributes:
        fault: its name.
        started: seconds since the run began.
        seconds: how long it took.
        sent: messages of the camera.
        counts: of the node's frames.
        outputs: label images that arrived.
        age: stamp to publication; None: no output.
        work: of the node on a frame.
        longest_gap: seconds between two outputs.
        checked: outputs recognised as their own frame's.
        replayed: outputs equal to the library's.
        resets: how often the memory was emptied, by reason.
        notes: what was seen, a line each.
        problems: what must not be, a line each.
    """

    fault: str
    started: float
    seconds: float = 0.0
    sent: int = 0
    counts: FrameCounts = field(default_factory=FrameCounts)
    outputs: int = 0
    age: Percentiles | None = None
    work: Percentiles | None = None
    longest_gap: float | None = None
    checked: int = 0
    replayed: int = 0
    resets: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def stamps_are_now(self) -> bool:
        """Whether an age says something."""
        return stamps_are_now(self.fault)

    @property
    def lost(self) -> int:
        """Frames lost in transport, with a node that died, or while it was away or inactive."""
        return self.sent - self.counts.received

    def close(self, heard: Heard, sent: Sequence[int], counts: FrameCounts) -> None:
        """Fill in what was seen, and check that the sums agree.

        Args:
            heard: of the node's outputs.
            sent: stamps of the camera's messages.
            counts: of the node's frames, all answered.
        """
        self.sent, self.counts = len(sent), counts
        self.outputs = sum(heard.stamps.values())
        self.checked, self.replayed = heard.checked, heard.replayed
        self.resets = dict(heard.resets)
        if heard.ages_ms:
            self.age = Percentiles.of(heard.ages_ms)
            self.work = Percentiles.of(heard.work_ms)
        self.longest_gap = heard.longest_gap
        self.problems += heard.wrong
        if counts.at_work:
            self.problems.append(
                f"{counts.received} received, but {counts.segmented} segmented + "
                f"{counts.dropped} dropped + {counts.refused} refused"
            )
        if self.lost < 0:
            self.problems.append(f"{counts.received} received of {self.sent} sent")
        foreign = heard.stamps - Counter(sent)
        if foreign:
            self.problems.append(f"{sum(foreign.values())} outputs with stamps of no sent frame")


def stamps_are_now(fault: str) -> bool:
    """Say whether the camera's stamps are the time during a fault."""
    return fault != STAMPS_BACK


def answered(counts: FrameCounts) -> int:
    """Give how many frames have been segmented, dropped or refused."""
    return counts.received - counts.at_work


def plus(a: FrameCounts, b: FrameCounts) -> FrameCounts:
    """Add two counts."""
    return FrameCounts(
        a.received + b.received,
        a.segmented + b.segmented,
        a.dropped + b.dropped,
        a.refused + b.refused,
    )


def minus(a: FrameCounts, b: FrameCounts) -> FrameCounts:
    """Take one count from another."""
    return plus(a, FrameCounts(-b.received, -b.segmented, -b.dropped, -b.refused))
