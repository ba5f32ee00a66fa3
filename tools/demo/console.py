"""The console output of the demo."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from tdnet_offline.evaluation import metrics
from tools.demo.camera_bag import CameraBag
from tools.demo.playback import Sent
from tools.demo.session import Progress
from tools.harness.node_view import FrameCounts

if TYPE_CHECKING:
    from tools.demo.source_report import SourceReport

# Seconds between two updates of the progress; a terminal shows one line, which is replaced.
_TERMINAL_PERIOD, _LOG_PERIOD = 0.2, 5.0


class Console:
    """Write lines, and one changing line of progress."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._last = time.monotonic()
        self._open = ""

    def say(self, text: str) -> None:
        """Write a line."""
        print(f"demo: {text}", flush=True)

    def counting(self, text: str) -> Callable[[], None]:
        """Return a function that counts its calls in the line of progress: ``{n} {text}``."""
        numbers = count(1)
        return lambda: self._show(f"  {next(numbers)} {text}")

    def progress(self, bag: CameraBag) -> Progress:
        """Return a function that shows the progress of playing a bag."""

        def show(sent: Sent, counts: FrameCounts) -> None:
            self._show(
                f"  {counts.received} of {bag.num_messages} frames: {counts.segmented} segmented, "
                f"{counts.dropped} dropped, {counts.refused} refused"
            )

        return show

    def end_progress(self) -> None:
        """Finish the line of progress."""
        if self._open:
            print(f"\r{self._open}", flush=True)
        self._open = ""

    def summary(self, report: SourceReport) -> None:
        """Write the numbers and problems of one source."""
        measures, totals = report.measures, report.measures.frames
        self.say(
            f"{totals.sent} frames sent: {totals.segmented} segmented, {totals.dropped} "
            f"dropped, {totals.refused} refused, {totals.unfinished} unfinished, "
            f"{totals.lost} lost in transport"
        )
        if measures.total is not None:
            self.say(
                f"{measures.output_rate:.1f} frames/s; latency in the node p50 "
                f"{measures.total.p50:.0f} ms, p95 {measures.total.p95:.0f} ms"
            )
        confusion = metrics.total_confusion(report.evaluation)
        if confusion.any():
            self.say(
                "against the exact labels: pixel accuracy "
                f"{metrics.pixel_accuracy(confusion):.1%}, mIoU {metrics.mean_iou(confusion):.1%}"
            )
        if report.evaluation.consistency.any():
            consistency = metrics.agreement(report.evaluation.consistency)
            self.say(f"from frame to frame {consistency:.1%} of the pixels keep their label")
        for problem in report.session.problems:
            print(f"demo: {problem}", file=sys.stderr)

    def _show(self, text: str) -> None:
        if self._terminal:
            self._open = text
        now = time.monotonic()
        if now - self._last < (_TERMINAL_PERIOD if self._terminal else _LOG_PERIOD):
            return
        self._last = now
        print(f"\r{text}" if self._terminal else text, end="" if self._terminal else "\n")
        sys.stdout.flush()
