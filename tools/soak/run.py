"""One run: the processes, the phases, and regular samples of the node."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tdnet import SegmenterSettings
from tdnet._util.percentiles import Percentiles, percentiles
from tdnet._util.process_usage import ProcessUsage, usage_of
from tools.harness import ToolError
from tools.harness.camera import CameraProcess
from tools.harness.node_view import FrameCounts
from tools.harness.numbered_frames import draw_frames
from tools.harness.subscriber import SubscriberProcess
from tools.soak.auditor import Auditor
from tools.soak.node_under_test import NodeUnderTest
from tools.soak.phase import Phase, stamps_are_now
from tools.soak.replay import Replay

SETTLE_SECONDS = 60.0
# Input size of the packaged network. The node gets it as a parameter, so that it can be set back.
NATIVE_SIZE = (257, 513)


@dataclass(frozen=True)
class RunSample:
    """The run at one moment.

    Attributes:
        seconds: since the run began.
        fault: the phase.
        life: number of the node's process, from 1.
        usage: resources of the node's process.
        cpu: processors that the node used since the last sample.
        device_mib: memory reserved on the device; None on the CPU.
        rate: outputs per second since the last sample.
        age: of the last outputs; None: there were none.
        sent: messages of the camera so far.
        counts: of the node so far.
    """

    seconds: float
    fault: str
    life: int
    usage: ProcessUsage
    cpu: float
    device_mib: float | None
    rate: float
    age: Percentiles | None
    sent: int
    counts: FrameCounts

    @property
    def stamps_are_now(self) -> bool:
        """Whether the camera stamps with the current time, so that the age has a meaning."""
        return stamps_are_now(self.fault)


@dataclass
class RunRecord:
    """Everything that is recorded of a run.

    Attributes:
        phases: in order.
        samples: in order.
        exit_status: of the node; None: it did not end.
        problems: those of no phase, a line each.
    """

    phases: list[Phase] = field(default_factory=list)
    samples: list[RunSample] = field(default_factory=list)
    exit_status: int | None = None
    problems: list[str] = field(default_factory=list)


class SoakRun:
    """The processes of the soak, and what a fault can do with them.

    Args:
        ending: stack that ends the processes, the node as Ctrl-C does.
        record: to which phases and samples are added.
        output: folder for logs and files.
        rate: of the camera, frames per second.
        period: seconds between two samples.

    Attributes:
        output: the folder.
        settings: of the node's current model.
        broken_seed: seed of the last broken messages.
    """

    def __init__(
        self, ending: ExitStack, record: RunRecord, output: Path, rate: float, period: float
    ) -> None:
        self.output = output
        self.settings = SegmenterSettings(input_size=NATIVE_SIZE)
        self.broken_seed = 0
        self._record = record
        self._period = period
        self._started = time.monotonic()
        self._usage: ProcessUsage | None = None
        self._sampled = (self._started, 0)
        self._phase = Phase("start", 0.0)
        frames = output / "frames.npy"
        self.replay = Replay(draw_frames(frames), self.settings, self._take_comparison)
        ending.callback(self.replay.close)
        self.auditor = Auditor(self.replay)
        ending.callback(self.auditor.close)
        self.node = NodeUnderTest({"input_size": str(list(NATIVE_SIZE))}, output, self.auditor)
        ending.callback(self._stop_node)
        self.camera = CameraProcess(frames, rate, output / "camera.log")
        ending.callback(self.camera.stop)
        self.subscriber = SubscriberProcess(output / "subscriber.log")
        ending.callback(self.subscriber.stop)
        self._ending = threading.Event()
        self._sampling = threading.Thread(target=self._sample_on, name="sampling", daemon=True)
        self._sampling.start()
        ending.callback(self._stop_sampling)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started

    def begin(self) -> None:
        """Wait until the node is active and its subscriber receives labels.

        Raises:
            ToolError: the node does not become active.
        """
        self.node.wait_until_active()
        self.camera.command("resume")
        self.wait_until(lambda: self.subscriber.received > 0, "labels at the subscriber")
        self._settle()
        self.auditor.take_phase()
        self.camera.take_sent()

    def phase(self, name: str, fault: Callable[[SoakRun, float], None], seconds: float) -> Phase:
        """Run a fault, wait until every frame is answered, and check the sums.

        Raises:
            ToolError: the run cannot go on.
        """
        self._phase = phase = Phase(name, self.elapsed)
        self._record.phases.append(phase)
        self.camera.command("resume")
        try:
            fault(self, seconds)
            self._settle()
        finally:
            phase.seconds = self.elapsed - phase.started
            observed, counts = self.auditor.take_phase()
            phase.finish(observed, self.camera.take_sent(), counts)
        return phase

    def note(self, text: str) -> None:
        """Add an observation to this phase."""
        self._phase.notes.append(text)

    def expect(self, condition: bool, text: str) -> None:
        """Add a problem to this phase if a condition is false."""
        if not condition:
            self._phase.problems.append(text)

    def swap(self, settings: SegmenterSettings) -> None:
        """Replace the node's model while frames arrive, and note the longest gap of the outputs.

        Raises:
            ToolError: no answer.
        """
        changed = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(settings).items()
            if value != getattr(self.settings, name)
        }
        moment = time.monotonic()
        reason = self.auditor.set_parameters(changed)
        took = time.monotonic() - moment
        what = ", ".join(f"{name} {value}" for name, value in changed.items())
        self.expect(not reason, f"{what} was refused: {reason}")
        if not reason:
            self.settings = settings
            self.replay.use(settings)
        self.wait(1.0)
        self.note(f"{what}: {took:.1f} s, gap {self.auditor.gap_since(moment):.2f} s")

    def wait(self, seconds: float) -> None:
        """Sleep, and check that the node still runs."""
        time.sleep(max(0.0, seconds))
        self.node.check_running()

    def wait_until(
        self, probe: Callable[[], bool], what: str, timeout: float = SETTLE_SECONDS
    ) -> float:
        """Wait for a condition; return the seconds this took.

        Raises:
            ToolError: it is still false after `timeout` seconds.
        """
        begun = time.monotonic()
        while not probe():
            self.node.check_running()
            if time.monotonic() - begun > timeout:
                raise ToolError(f"waited {timeout:.0f} s for {what}")
            time.sleep(0.02)
        return time.monotonic() - begun

    def _stop_node(self) -> None:
        self._record.exit_status = self.node.stop()

    def _stop_sampling(self) -> None:
        self._ending.set()
        self._sampling.join()

    def _take_comparison(self, problem: str | None) -> None:
        self.auditor.report_replay(problem)

    def _settle(self) -> None:
        """Pause the camera and wait until the node has answered all frames."""
        self.camera.command("pause")
        seen, counts = self.auditor.views, self.auditor.counts

        def answered() -> bool:
            nonlocal seen, counts
            # No frame can be in transport two diagnostic messages after the last change.
            now = self.auditor.counts
            if now != counts or now.at_work:
                seen, counts = self.auditor.views, now
            return self.auditor.views >= seen + 2

        self.wait_until(answered, "the node to answer all frames", SETTLE_SECONDS)

    def _sample_on(self) -> None:
        while not self._ending.wait(self._period):
            usage = usage_of(self.node.pid)
            if usage is not None:
                self._sample(usage)

    def _sample(self, usage: ProcessUsage) -> None:
        now = time.monotonic()
        before, segmented = self._sampled
        last = self._usage
        cpu = usage.cpu_seconds - last.cpu_seconds if last else 0.0
        ages = [age for at, age in list(self.auditor.ages_ms) if at > before]
        total = self.auditor.total
        view = self.auditor.view
        device = view.model.get("device memory reserved MiB") if view else None
        self._usage, self._sampled = usage, (now, total.segmented)
        self._record.samples.append(
            RunSample(
                seconds=self.elapsed,
                fault=self._phase.fault,
                life=self.node.lives,
                usage=usage,
                cpu=max(0.0, cpu) / (now - before),
                device_mib=float(device) if device else None,
                rate=(total.segmented - segmented) / (now - before),
                age=percentiles(ages) if ages else None,
                sent=self.camera.sent_total,
                counts=total,
            )
        )
