"""What the demo says while it runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from demo.camera_bag import CameraBag
from demo.playback import Sent
from demo.session import Progress, Session
from rig.node_view import FrameCounts
from tdnet_offline.evaluation import metrics

if TYPE_CHECKING:
    from demo.report import Report

# Seconds between two lines of progress: on a terminal one line is written over and over.
_TERMINAL_PERIOD, _LOG_PERIOD = 0.2, 5.0


class Console:
    """Writes lines, and between them one line of progress that changes."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._last = time.monotonic()
        self._open = ""

    def say(self, text: str) -> None:
        """Write a line."""
        print(f"demo: {text}", flush=True)

    def drawing(self, total: int) -> Callable[[], None]:
        """Give what is called with each frame of the synthetic drive that is drawn."""
        return self._counting(f"of {total} frames drawn")

    def evaluating(self, total: int) -> Callable[[], None]:
        """Give what is called with each segmented frame that is evaluated."""
        return self._counting(f"of {total} frames evaluated")

    def progress(self, bag: CameraBag) -> Progress:
        """Give what shows the progress of playing a bag."""

        def show(sent: Sent, counts: FrameCounts) -> None:
            self._show(
                f"  {counts.received} of {bag.num_messages} frames: {counts.segmented} segmented, "
                f"{counts.dropped} dropped, {counts.refused} refused"
            )

        return show

    def end_progress(self) -> None:
        """Leave the line of progress."""
        if self._open:
            print(f"\r{self._open}", flush=True)
        self._open = ""

    def summary(self, session: Session, report: Report, output: Path, seconds: float) -> None:
        """Write what came out and where to look."""
        measures, account = report.measures, report.measures.account
        self.say(
            f"{account.sent} frames sent: {account.segmented} segmented, {account.dropped} "
            f"dropped, {account.refused} refused, {account.unfinished} unfinished, "
            f"{account.lost} lost in transport"
        )
        if measures.total is not None:
            self.say(
                f"{measures.output_rate:.1f} frames/s; latency in the node p50 "
                f"{measures.total.p50:.0f} ms, p95 {measures.total.p95:.0f} ms"
            )
        confusion = metrics.total_confusion(report.evaluation)
        if confusion.any():
            self.say(
                f"against the truth: pixel accuracy {metrics.pixel_accuracy(confusion):.1%}, "
                f"mIoU {metrics.mean_iou(confusion):.1%}"
            )
        if report.evaluation.consistency.any():
            consistency = metrics.agreement(report.evaluation.consistency)
            self.say(f"from frame to frame {consistency:.1%} of the pixels keep their label")
        for problem in session.problems:
            print(f"demo: {problem}", file=sys.stderr)
        self.say(f"done in {seconds:.0f} s; open {output / 'index.html'}")

    def _counting(self, text: str) -> Callable[[], None]:
        numbers = count(1)
        return lambda: self._show(f"  {next(numbers)} {text}")

    def _show(self, text: str) -> None:
        if self._terminal:
            self._open = text
        now = time.monotonic()
        if now - self._last < (_TERMINAL_PERIOD if self._terminal else _LOG_PERIOD):
            return
        self._last = now
        print(f"\r{text}" if self._terminal else text, end="" if self._terminal else "\n")
        sys.stdout.flush()
