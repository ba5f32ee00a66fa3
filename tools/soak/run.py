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
from tdnet_ros.rclpy_tools.abandoned_ports import remove_dead_ports
from tools.harness.camera import TOPIC, CameraProcess
from tools.harness.node_observer import FrameCounts
from tools.harness.node_process import NodeProcess
from tools.harness.numbered_frames import draw_frames
from tools.harness.subscriber import SubscriberProcess
from tools.soak.auditor import Auditor
from tools.soak.phase import STAMPS_BACK, Phase
from tools.soak.replay import Replay

# Input size of the packaged network. The node gets it as a parameter, so that it can be set back.
NATIVE_SIZE = (256, 512)
# Period of the diagnostics, which report the counts, in seconds.
DIAGNOSTICS_PERIOD = "0.5"


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
        age: of the last outputs; None: there were none, or the camera sends old stamps.
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
        captures: folder of the node's captures.
        settings: of the node's current model.
        lives: number of starts of the node.
        node: its current process.
    """

    def __init__(
        self, ending: ExitStack, record: RunRecord, output: Path, rate: float, period: float
    ) -> None:
        self.output = output
        self.captures = output / "captures"
        self.settings = SegmenterSettings(input_size=NATIVE_SIZE)
        self.lives = 0
        self._record = record
        self._period = period
        self._started = time.monotonic()
        self._usage: ProcessUsage | None = None
        self._sampled = (self._started, 0)
        self._phase = Phase("start", 0.0)
        frames = output / "frames.npy"
        self.replay = Replay(draw_frames(frames), self.settings)
        ending.callback(self.replay.close)
        self.auditor = Auditor(self.replay)
        ending.callback(self.auditor.close)
        self._start_node()
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
        self.auditor.wait_until_active(self.node)
        self.camera.command("resume")
        self.node.wait_until(lambda: self.subscriber.received > 0, "labels at the subscriber")
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
        gap = self.auditor.observed.gap_since(moment, time.monotonic())
        self.note(f"{what}: {took:.1f} s, gap {gap:.2f} s")

    def wait(self, seconds: float) -> None:
        """Sleep, and check that the node still runs."""
        time.sleep(max(0.0, seconds))
        self.node.check_running()

    def respawn_node(self) -> None:
        """End the node as `kill -9` does and start it again; its counts start from zero."""
        self.node.kill()
        remove_dead_ports()
        # Messages that it sent before may still arrive.
        time.sleep(0.5)
        self.auditor.restart_counts()
        self._start_node()

    def _start_node(self) -> None:
        self.lives += 1
        parameters = {
            "input_size": str(list(NATIVE_SIZE)),
            "diagnostics_period": DIAGNOSTICS_PERIOD,
            "capture.folder": str(self.captures),
        }
        self.node = NodeProcess(TOPIC, parameters, self.output / f"node-{self.lives}.log")

    def _stop_node(self) -> None:
        self._record.exit_status = self.node.stop()

    def _stop_sampling(self) -> None:
        self._ending.set()
        self._sampling.join()

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

        self.node.wait_until(answered, "answers to all frames")

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
        fault = self._phase.fault
        recent = [age for at, age in list(self.auditor.ages_ms) if at > before]
        ages = [] if fault == STAMPS_BACK else recent
        total = self.auditor.total
        view = self.auditor.view
        device = view.model.get("device memory reserved MiB") if view else None
        self._usage, self._sampled = usage, (now, total.segmented)
        self._record.samples.append(
            RunSample(
                seconds=self.elapsed,
                fault=fault,
                life=self.lives,
                usage=usage,
                cpu=max(0.0, cpu) / (now - before),
                device_mib=float(device) if device else None,
                rate=(total.segmented - segmented) / (now - before),
                age=percentiles(ages) if ages else None,
                sent=self.camera.sent_total,
                counts=total,
            )
        )
