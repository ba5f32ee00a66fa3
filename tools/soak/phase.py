"""The frames of one phase: what the camera sent, the node counted and its outputs showed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tdnet._util.percentiles import Percentiles, percentiles
from tools.harness.node_observer import FrameCounts

STEADY, STAMPS_BACK = "steady", "stamps back"


@dataclass
class ObservedOutputs:
    """The node's outputs during one phase.

    Attributes:
        stamps: of the label images.
        arrivals: steady clock of each label image, in seconds.
        ages_ms: stamp to publication of each frame.
        work_ms: processing time of each frame, without its wait.
        publish_ms: time of each frame for publishing its outputs.
        resets: memory resets by reason.
        problems: wrong outputs, a line each.
        checked: label images compared with the labels of every frame.
        replayed: label images compared with those of the library for the same frames.
    """

    stamps: Counter[int] = field(default_factory=Counter)
    arrivals: list[float] = field(default_factory=list)
    ages_ms: list[float] = field(default_factory=list)
    work_ms: list[float] = field(default_factory=list)
    publish_ms: list[float] = field(default_factory=list)
    resets: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    checked: int = 0
    replayed: int = 0

    @property
    def longest_gap(self) -> float | None:
        """Longest time between two outputs in seconds; None: fewer than two outputs."""
        return float(np.diff(self.arrivals).max()) if len(self.arrivals) > 1 else None

    def gap_since(self, moment: float, now: float) -> float:
        """Return the longest time in seconds without an output between two moments."""
        before = [t for t in self.arrivals if t <= moment]
        times = [*before[-1:], *(t for t in self.arrivals if t > moment)]
        return float(np.diff([*times, now]).max()) if times else 0.0


@dataclass
class CountTotal:
    """Sum of the node's counts over its processes and activations; each counts from zero."""

    last: FrameCounts = field(default_factory=FrameCounts)
    finished: FrameCounts = field(default_factory=FrameCounts)

    def update(self, counts: FrameCounts) -> None:
        """Store the node's counts; older counts than the last are ignored."""
        if counts.received >= self.last.received and counts.at_work <= counts.received:
            self.last = counts

    def restart(self) -> None:
        """Start from zero with the node; frames that were pending are lost."""
        self.finished += replace(self.last, received=self.last.answered)
        self.last = FrameCounts()

    @property
    def total(self) -> FrameCounts:
        """Everything that the node has counted so far."""
        return self.finished + self.last


@dataclass
class Phase:
    """One fault, from its start until the node has answered every frame.

    Attributes:
        fault: its name.
        started: seconds since the run began.
        seconds: its length.
        sent: messages of the camera.
        counts: frames counted by the node.
        outputs: label images that arrived.
        age: stamp to publication; None: no output, or the camera sends old stamps.
        work: processing time of a frame; None: no output.
        longest_gap: seconds between two outputs.
        checked: label images compared with the labels of every frame.
        replayed: label images compared with those of the library.
        resets: memory resets by reason.
        notes: observations, a line each.
        problems: failed checks, a line each.
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
    def lost(self) -> int:
        """Frames lost in transport, with a killed node, or while no node was active."""
        return self.sent - self.counts.received

    def finish(self, observed: ObservedOutputs, sent: Sequence[int], counts: FrameCounts) -> None:
        """Store what was observed, and check the sums.

        Args:
            observed: the node's outputs.
            sent: stamps of the camera's messages.
            counts: of the node, after it has answered all frames.
        """
        self.sent, self.counts = len(sent), counts
        self.outputs = sum(observed.stamps.values())
        self.checked, self.replayed = observed.checked, observed.replayed
        self.resets = dict(observed.resets)
        if observed.ages_ms:
            self.work = percentiles(observed.work_ms)
            self.age = percentiles(observed.ages_ms) if self.fault != STAMPS_BACK else None
        self.longest_gap = observed.longest_gap
        self.problems += observed.problems
        if counts.at_work:
            self.problems.append(
                f"{counts.received} received, but {counts.segmented} segmented + "
                f"{counts.dropped} dropped + {counts.refused} refused"
            )
        if self.lost < 0:
            self.problems.append(f"{counts.received} received of {self.sent} sent")
        foreign = observed.stamps - Counter(sent)
        if foreign:
            self.problems.append(f"{sum(foreign.values())} outputs with stamps of no sent frame")
