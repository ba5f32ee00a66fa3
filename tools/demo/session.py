"""One run: start the node, play the bag, record all topics, stop the node."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tools.demo import DemoError
from tools.demo.camera_bag import CameraBag
from tools.demo.playback import Playback, Sent
from tools.demo.recorder import LABELS, OVERLAY, STATUS, Recorder
from tools.harness.node_process import NodeProcess
from tools.harness.node_view import FrameCounts, NodeView

# A large network on a slow CPU takes minutes to load and warm up, and seconds for a frame.
ACTIVE_SECONDS = 300.0
FRAME_SECONDS = 60.0
# After the end of the player: time after which a missing message counts as lost.
LOST_SECONDS = 2.0
DIAGNOSTICS_SECONDS = 0.2

Progress = Callable[[Sent, FrameCounts], None]


@dataclass(frozen=True)
class NodeUnderTest:
    """The network of the node, and the machine.

    Attributes:
        variant: Name of the network.
        weights: Path of its weights file; empty: the packaged weights.
        system: Hardware and versions.
    """

    variant: str
    weights: str
    system: Mapping[str, str]


@dataclass(frozen=True)
class Session:
    """The course of a run.

    Attributes:
        command: arguments of Python that started the node.
        sent: every published message, in order.
        counts: frame counts of the node at the end.
        arrivals: steady clock, in nanoseconds, when the overlay of a stamp was recorded.
        model: device, precision, input size, memory and so on, as text.
        last_error: reason of the last refused frame; empty: none was refused.
        exit_status: exit status of the node.
        problems: problems, a line each.
    """

    command: tuple[str, ...]
    sent: tuple[Sent, ...]
    counts: FrameCounts
    arrivals: Mapping[int, int]
    model: Mapping[str, str]
    last_error: str
    exit_status: int
    problems: tuple[str, ...]


def run_session(
    bag: CameraBag,
    parameters: Mapping[str, str],
    recording: Path,
    logs: Path,
    say: Callable[[str], None],
    progress: Progress,
) -> Session:
    """Play a bag through the node and record its topics.

    Args:
        bag: the bag to play.
        parameters: parameters of the node, besides those that the demo sets.
        recording: folder of the bag with the node's topics; must not exist.
        logs: folder of the log files of the processes.
        say: called with a line about each step.
        progress: called several times a second while frames are played.

    Raises:
        DemoError: the node does not become active; the message has its reason.
    """
    topic = f"qos_overrides.{bag.published_topic}.subscription"
    needed = {
        # No frame of a bag may get lost in transport; the node drops frames if it is too slow.
        f"{topic}.reliability": "reliable",
        f"{topic}.depth": "10",
        "image_transport": "compressed" if bag.compressed else "raw",
        "diagnostics_period": str(DIAGNOSTICS_SECONDS),
    }
    with ExitStack() as running:
        node = NodeProcess(bag.base_topic, {**parameters, **needed}, logs / "node.log")
        running.callback(node.stop)
        recorder = Recorder(recording)
        running.callback(recorder.stop)
        playback = Playback(bag, logs / "player.log")
        running.callback(playback.stop)
        view = _wait_until_active(node, recorder)
        say(f"node is active: {_model_text(view)}")
        playback.start()
        problems = _follow(bag, node, recorder, playback, progress)
        final = recorder.view or view
        playback.stop()
        exit_status = node.stop()
    if exit_status != 0:
        problems.append(f"the node ended with status {exit_status}: {node.last_words()}")
    return Session(
        command=tuple(node.command),
        sent=tuple(playback.sent),
        counts=final.counts,
        arrivals=recorder.arrivals,
        model=final.model,
        last_error=final.last_error,
        exit_status=exit_status,
        problems=tuple(problems),
    )


def _wait_until_active(node: NodeProcess, recorder: Recorder) -> NodeView:
    end = time.monotonic() + ACTIVE_SECONDS
    while True:
        view = recorder.view
        if view is not None and view.failure:
            raise DemoError(f"the node says: {view.failure}")
        if not node.running:
            raise DemoError(f"the node ended: {node.last_words()}")
        if view is not None and view.active and recorder.connected:
            return view
        if time.monotonic() > end:
            raise DemoError(
                f"the node was not active after {ACTIVE_SECONDS:.0f} s: {node.last_words()}"
            )
        time.sleep(0.05)


def _follow(
    bag: CameraBag,
    node: NodeProcess,
    recorder: Recorder,
    playback: Playback,
    progress: Progress,
) -> list[str]:
    """Wait until every frame has a result; return the problems."""
    last_change = time.monotonic()
    counts, recorded = FrameCounts(), 0
    while True:
        playing = playback.running
        view = recorder.view
        now = time.monotonic()
        seen = view.counts if view is not None else FrameCounts()
        outputs = recorder.counts[OVERLAY] + recorder.counts[LABELS] + recorder.counts[STATUS]
        if playing or seen != counts or outputs != recorded:
            counts, recorded, last_change = seen, outputs, now
        if playback.sent:
            progress(playback.sent[-1], counts)
        if not node.running:
            return [f"the node ended while the bag was played: {node.last_words()}"]
        if not playing:
            sent, quiet = len(playback.sent), now - last_change
            complete = counts.received >= sent and recorder.counts[STATUS] >= counts.segmented
            if counts.at_work == 0 and (complete or quiet > LOST_SECONDS):
                problem = playback.problem()
                return [problem] if problem else []
            if quiet > FRAME_SECONDS:
                return [
                    f"{counts.at_work} frames were still in work {FRAME_SECONDS:.0f} s after the "
                    f"last output of the node for {bag.published_topic}"
                ]
        time.sleep(0.05)


def _model_text(view: NodeView) -> str:
    model = view.model
    return (
        f"{model.get('variant')} at {model.get('input size')} on {model.get('device')}, "
        f"{model.get('precision')}"
    )
