"""One run: start the node, play the bag, record all topics, stop the node."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tdnet_offline.progress import show_progress
from tools.demo import say
from tools.demo.camera_bag import CameraBag
from tools.demo.player import PlayerProcess, Sent
from tools.demo.recorder import LABELS, OVERLAY, STATUS, Recorder
from tools.harness.node_observer import NodeView
from tools.harness.node_process import NodeProcess

# A large network on a slow CPU takes seconds for a frame.
FRAME_SECONDS = 60.0
# After the end of the player: time after which a missing message counts as lost.
LOST_SECONDS = 2.0
DIAGNOSTICS_SECONDS = 0.2


@dataclass(frozen=True)
class Session:
    """The course of a run.

    Attributes:
        weights: path of the weights file; empty: the packaged weights.
        command: arguments of Python that started the node.
        recording: folder of the bag with the node's topics.
        sent: every published message, in order.
        arrivals: steady clock, in nanoseconds, when the overlay of a stamp was recorded.
        view: the last diagnostics of the node: counts, device, precision, input size and so on.
        exit_status: exit status of the node.
        problems: problems, a line each.
    """

    weights: str
    command: tuple[str, ...]
    recording: Path
    sent: tuple[Sent, ...]
    arrivals: Mapping[int, int]
    view: NodeView
    exit_status: int
    problems: tuple[str, ...]


def run_session(bag: CameraBag, parameters: Mapping[str, str], folder: Path) -> Session:
    """Play a bag through the node and record its topics.

    Args:
        bag: the bag to play.
        parameters: parameters of the node, besides those that the demo sets.
        folder: takes the bag ``recording`` and the log files of the processes.

    Raises:
        ToolError: the node does not become active; the message has its reason.
    """
    recording = folder / "recording"
    topic = f"qos_overrides.{bag.published_topic}.subscription"
    needed = {
        # No frame of a bag may get lost in transport; the node drops frames if it is too slow.
        f"{topic}.reliability": "reliable",
        f"{topic}.depth": "10",
        "image_transport": "compressed" if bag.compressed else "raw",
        "diagnostics_period": str(DIAGNOSTICS_SECONDS),
    }
    with ExitStack() as running:
        node = NodeProcess(bag.base_topic, {**parameters, **needed}, folder / "node.log")
        running.callback(node.stop)
        recorder = Recorder(recording)
        running.callback(recorder.close)
        player = PlayerProcess(bag, folder / "player.log")
        running.callback(player.kill)
        recorder.wait_until_active(node)
        node.wait_until(recorder.is_connected, "the node's latched topics")
        view = _view(recorder)
        model = "{variant} at {input size} on {device}, {precision}".format(**view.model)
        say(f"node is active: {model}")
        player.send("go")
        problems = _follow(bag, node, recorder, player)
        view = _view(recorder)
        player.kill()
        exit_status = node.stop()
    if exit_status != 0:
        problems.append(f"the node ended with status {exit_status}: {node.last_words()}")
    return Session(
        weights=parameters.get("weights", ""),
        command=tuple(node.command),
        recording=recording,
        sent=tuple(player.sent),
        arrivals=recorder.arrivals,
        view=view,
        exit_status=exit_status,
        problems=tuple(problems),
    )


def _view(recorder: Recorder) -> NodeView:
    assert recorder.view is not None  # the node was active
    return recorder.view


def _follow(
    bag: CameraBag, node: NodeProcess, recorder: Recorder, player: PlayerProcess
) -> list[str]:
    """Wait until every frame has a result; return the problems."""
    last_change = time.monotonic()
    seen: tuple[object, ...] = ()
    shown = 0
    with show_progress("frames", bag.num_messages) as progress:
        while node.running:
            playing = player.running
            now, counts = time.monotonic(), _view(recorder).counts
            for _ in range(counts.received - shown):
                progress.advance()
            shown = counts.received
            state = (counts, *(recorder.counts[topic] for topic in (OVERLAY, LABELS, STATUS)))
            if playing or state != seen:
                seen, last_change = state, now
            quiet = now - last_change
            complete = (
                counts.received >= len(player.sent) and recorder.counts[STATUS] >= counts.segmented
            )
            if not playing and counts.at_work == 0 and (complete or quiet > LOST_SECONDS):
                return [player.problem()] if player.problem() else []
            if quiet > FRAME_SECONDS:
                return [
                    f"{counts.at_work} frames were still in work {FRAME_SECONDS:.0f} s after the "
                    f"last output of the node for {bag.published_topic}"
                ]
            time.sleep(0.05)
    return [f"the node ended while the bag was played: {node.last_words()}"]
