"""One run: the processes, the phases, and a sample of everything every few seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tdnet import SegmenterSettings
from tools.harness.node_view import FrameCounts
from tools.harness.percentiles import Percentiles
from tools.soak.account import Phase, stamps_are_now
from tools.soak.auditor import Auditor
from tools.soak.camera_process import CameraProcess
from tools.soak.contents import draw_contents
from tools.soak.errors import SoakError
from tools.soak.node import NodeRespawn
from tools.soak.replay import Replay
from tools.soak.sampler import Usage, usage_of
from tools.soak.subscriber_process import SubscriberProcess

SETTLE_SECONDS = 60.0
# Of the packaged network; said to the node too, so that it can be set back to it.
NATIVE_SIZE = (257, 513)


@dataclass(frozen=True)
class Sample:
    """The run at one moment.

    Attributes:
        seconds: since the run began.
        fault: the phase.
        life: of the node, counted from 1.
        usage: of the node's process.
        cpu: processors that the node kept busy since the sample before.
        device_mib: memory reserved on the device; None on the CPU.
        rate: outputs a second since the sample before.
        age: of the last outputs; None: there were none.
        sent: messages of the camera so far.
        counts: of the node so far.
    """

    seconds: float
    fault: str
    life: int
    usage: Usage
    cpu: float
    device_mib: float | None
    rate: float
    age: Percentiles | None
    sent: int
    counts: FrameCounts

    @property
    def stamps_are_now(self) -> bool:
        """Whether the age says something."""
        return stamps_are_now(self.fault)


@dataclass
class Record:
    """All that is known of a run.

    Attributes:
        phases: in order.
        samples: in order.
        exit_status: of the node; None: it never ended.
        problems: of no phase, a line each.
    """

    phases: list[Phase] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    exit_status: int | None = None
    problems: list[str] = field(default_factory=list)


class Run:
    """The processes of the soak; a fault acts on them.

    Args:
        ending: ends what the run has started, the node as Ctrl-C does.
        record: takes what is seen.
        output: folder for logs and files.
        rate: of the camera, frames a second.
        period: seconds between two samples.

    Attributes:
        output: the folder.
        settings: of the node's model now.
        broken_seed: of the last broken messages; each time others are sent.
    """

    def __init__(
        self, ending: ExitStack, record: Record, output: Path, rate: float, period: float
    ) -> None:
        self.output = output
        self.settings = SegmenterSettings(input_size=NATIVE_SIZE)
        self.broken_seed = 0
        self._record = record
        self._period = period
        self._started = time.monotonic()
        self._usage: Usage | None = None
        self._sampled = (self._started, 0)
        self._phase = Phase("start", 0.0)
        frames = output / "frames.npy"
        self.replay = Replay(draw_contents(frames), self.settings, self._take_comparison)
        ending.callback(self.replay.close)
        self.auditor = Auditor(self.replay)
        ending.callback(self.auditor.close)
        self.node = NodeRespawn({"input_size": str(list(NATIVE_SIZE))}, output, self.auditor)
        ending.callback(self._stop_node)
        self.camera = CameraProcess(frames, rate, output / "camera.log")
        ending.callback(self.camera.stop)
        self.subscriber = SubscriberProcess(0.0, output / "subscriber.log")
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
        """Wait until the node and its subscriber are there.

        Raises:
            SoakError: the node does not become active.
        """
        self.node.wait_until_active()
        self.camera.obey("resume")
        self.wait_until(self.subscriber.hears, "the subscriber to hear labels")
        self._settle()
        self.auditor.take_phase()
        self.camera.take_sent()

    def phase(self, name: str, fault: Callable[[Run, float], None], seconds: float) -> Phase:
        """Run a fault, wait until every frame is answered, and add up.

        Raises:
            SoakError: the run cannot go on.
        """
        self._phase = phase = Phase(name, self.elapsed)
        self._record.phases.append(phase)
        self.camera.obey("resume")
        try:
            fault(self, seconds)
            self._settle()
        finally:
            phase.seconds = self.elapsed - phase.started
            heard, counts = self.auditor.take_phase()
            phase.close(heard, self.camera.take_sent(), counts)
        return phase

    def note(self, text: str) -> None:
        """Write down what was seen in this phase."""
        self._phase.notes.append(text)

    def expect(self, condition: bool, text: str) -> None:
        """Write down a problem where a condition does not hold."""
        if not condition:
            self._phase.problems.append(text)

    def swap(self, settings: SegmenterSettings) -> None:
        """Exchange the node's model while frames come in, and note how long nothing came out.

        Raises:
            SoakError: no answer.
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
        """Let things happen for a while."""
        time.sleep(max(0.0, seconds))
        self.node.check_running()

    def wait_until(
        self, probe: Callable[[], bool], what: str, timeout: float = SETTLE_SECONDS
    ) -> float:
        """Wait for a condition, and say how many seconds it took.

        Raises:
            SoakError: it does not come.
        """
        begun = time.monotonic()
        while not probe():
            self.node.check_running()
            if time.monotonic() - begun > timeout:
                raise SoakError(f"waited {timeout:.0f} s for {what}")
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
        """Have the camera pause until the node has answered all frames."""
        self.camera.obey("pause")
        seen, counts = self.auditor.views, self.auditor.counts

        def answered() -> bool:
            nonlocal seen, counts
            # The second message after the counts last changed: none can be on its way any more.
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

    def _sample(self, usage: Usage) -> None:
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
            Sample(
                seconds=self.elapsed,
                fault=self._phase.fault,
                life=self.node.lives,
                usage=usage,
                cpu=max(0.0, cpu) / (now - before),
                device_mib=float(device) if device else None,
                rate=(total.segmented - segmented) / (now - before),
                age=Percentiles.of(ages) if ages else None,
                sent=self.camera.sent_total,
                counts=total,
            )
        )
