"""The faults and their order; each acts on a run for some seconds and checks its effect."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

from tdnet._util.percentiles import percentiles
from tdnet.continuity import SHORTEST_LIMIT, ResetReason
from tdnet_offline.bags import open_bag
from tdnet_offline.datasets.bag_topic import read_headers
from tools.harness import ToolError
from tools.harness.camera import TOPIC
from tools.harness.numbered_frames import FRAME_SIZE
from tools.harness.subscriber import SubscriberProcess
from tools.soak.phase import STAMPS_BACK, STEADY
from tools.soak.run import SoakRun

Fault = Callable[[SoakRun, float], None]

NODE_KILLED = "node killed"
LONGEST_PHASE, SHORTEST_PHASE = 20.0, 4.0

BURST_RATE = 60.0
# Messages in a row, others in each round.
BROKEN_MESSAGES = 100
_NUMBERS = count(1)
CAPTURE_PERIOD = 0.5
LOAD_RATE = 30.0
# The packaged network needs about a third of a second for it on one processor.
LOAD_INPUT_SIZE = (768, 1536)
SLOW_SECONDS = 1.0
# A restarted subscriber usually receives labels within this time.
SERVED_SECONDS = 20.0
# A publisher that a slow subscriber blocks would take as long as the subscriber sleeps.
STALLED_MS = SLOW_SECONDS * 1e3 / 4
# Seconds without an output, on a machine with other processes.
LONGEST_GAP = 3.0


def steady(run: SoakRun, seconds: float) -> None:
    """No fault."""
    run.wait(seconds)


def camera_killed(run: SoakRun, seconds: float) -> None:
    """The camera is killed and starts again after more than the automatic `memory.max_gap`."""
    run.wait(seconds / 4)
    run.camera.kill()
    run.wait(SHORTEST_LIMIT + 1)
    gaps = run.auditor.resets(ResetReason.GAP)
    run.camera.restart()
    back = _wait_for_labels(run)
    run.note(f"labels {back:.1f} s after the camera was started again")
    run.wait(seconds / 4)
    resets = run.auditor.resets(ResetReason.GAP) - gaps
    run.expect(resets == 1, f"the memory was reset {resets} times after the gap, not once")


def subscriber_killed(run: SoakRun, seconds: float) -> None:
    """A subscriber of the labels is killed and starts again."""
    run.wait(seconds / 4)
    run.subscriber.kill()
    run.wait(seconds / 4)
    begun = time.monotonic()
    run.subscriber.restart()
    try:
        run.node.wait_until(
            _served(run.subscriber), "labels at the new subscriber", SERVED_SECONDS
        )
    except ToolError as error:
        # Seen once in 260 restarts, before it avoided the ports of killed processes: docs/soak.md.
        run.note(f"{error}, started another one")
        run.subscriber.kill()
        run.subscriber.restart()
        run.node.wait_until(_served(run.subscriber), "labels at another new subscriber")
    run.note(f"a new subscriber received labels after {time.monotonic() - begun:.1f} s")
    run.wait(seconds / 2 - (time.monotonic() - begun))
    _expect_flow(run)


def slow_subscriber(run: SoakRun, seconds: float) -> None:
    """A reliable subscriber sleeps a second over each label image."""
    slow = SubscriberProcess(run.output / "subscriber.log", SLOW_SECONDS)
    run.node.wait_until(_served(slow), "labels at the slow subscriber")
    run.wait(seconds)
    run.note(f"the slow one received {slow.received}")
    slow.stop()
    _expect_flow(run)


def node_killed(run: SoakRun, seconds: float) -> None:
    """The node is killed and started again."""
    run.wait(seconds / 4)
    run.respawn_node()
    active = run.auditor.wait_until_active(run.node)
    before = run.subscriber.received
    _wait_for_labels(run)
    run.node.wait_until(lambda: run.subscriber.received > before, "labels at the old subscriber")
    run.note(f"active {active:.1f} s after it was started again, old subscribers served")
    run.wait(seconds / 4)


def lifecycle(run: SoakRun, seconds: float) -> None:
    """Deactivate and activate, then clean up and configure, while frames arrive."""
    for labels in (
        ("deactivate", "activate"),
        ("deactivate", "cleanup", "configure", "activate"),
    ):
        run.wait(seconds / 4)
        for label in labels:
            if label == "activate":
                # Earlier messages may still arrive.
                run.wait(0.5)
                run.auditor.restart_counts()
            run.expect(run.auditor.transition(label), f"{label} failed")
        back = _wait_for_labels(run)
        run.note(f"labels {back:.1f} s after {', '.join(labels)}")
    run.wait(seconds / 4)
    activated = run.auditor.resets(ResetReason.ACTIVATED)
    run.expect(activated == 2, f"{activated} of 2 activations started with an empty memory")


def stamps_back(run: SoakRun, seconds: float) -> None:
    """A bag of ten frames loops: the same stamps again and again."""
    run.camera.command("stamps loop")
    run.wait(seconds)
    run.camera.command("stamps now")
    back = run.auditor.resets(ResetReason.STAMP_BACKWARDS)
    run.expect(back > 0, "the memory was not reset when stamps went back")


def broken_messages(run: SoakRun, seconds: float) -> None:
    """Messages with false fields arrive among the frames; the frames are still answered."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run.camera.command(f"broken {next(_NUMBERS)} {BROKEN_MESSAGES}")
        _wait_for_labels(run)
        run.wait(0.5)
    counts = run.auditor.counts
    run.note(f"{counts.refused} of {counts.received} refused")
    run.expect(counts.refused > 0, "none of the broken messages was refused")


def burst(run: SoakRun, seconds: float) -> None:
    """The camera sends far faster than the node can process."""
    run.camera.command(f"rate {BURST_RATE}")
    run.wait(seconds)
    run.camera.command(f"rate {run.camera.rate}")


def swaps(run: SoakRun, seconds: float) -> None:
    """The model is replaced while frames arrive; invalid changes are refused."""
    class_map = run.output / "class_map.yaml"
    class_map.write_text(
        "name: renamed\nnetwork: cityscapes\nrest: keep\nclasses:\n"
        "  - {name: lane, from: [road]}\n"
    )
    broken = run.output / "corrupt.safetensors"
    broken.write_bytes(b"\x10" * 4096)
    start = run.settings
    weights = str(start.weights_path)
    for changed in (
        replace(start, input_size=(192, 384)),
        replace(start, class_map=str(class_map)),
        replace(start, precision="bfloat16"),
        start,
    ):
        run.wait(seconds / 10)
        run.swap(changed)
    for values, what in (
        ({"weights": str(run.output / "missing.safetensors")}, "missing file"),
        ({"weights": str(broken)}, "corrupt file"),
        ({"variant": "psp101"}, "variant without weights"),
        ({"variant": "evit-b0", "weights": weights}, "wrong variant"),
    ):
        reason = run.auditor.set_parameters(values)
        run.expect(bool(reason), f"{what} was not refused")
        run.note(f"{what}: refused")
        run.wait(seconds / 10)
    resets = run.auditor.resets(ResetReason.MODEL)
    run.expect(resets == 4, f"the memory was reset {resets} times in 4 swaps")
    _expect_flow(run)


def captures(run: SoakRun, seconds: float) -> None:
    """Frames are captured by a rule that all of them meet, and on request."""
    shutil.rmtree(run.captures, ignore_errors=True)
    # In a new folder no frame was captured before.
    folder = run.captures / str(next(_NUMBERS))
    rule = {
        "capture.folder": str(folder),
        "capture.low_confidence": 1.0,
        "capture.period": CAPTURE_PERIOD,
    }
    run.expect(not run.auditor.set_parameters(rule), "the rule was refused")
    requested = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run.wait(2 * CAPTURE_PERIOD)
        requested += run.auditor.capture()
    run.auditor.set_parameters({"capture.low_confidence": 0.0})
    # Written after what the rule demanded.
    run.wait(1.0)
    requested += run.auditor.capture()
    stamps: list[int] = []
    bags = list(folder.iterdir())
    for path in bags:
        with open_bag(path) as bag:
            headers = read_headers(bag, [TOPIC])[0][TOPIC].headers
        stamps += [header.stamp_ns for header in headers if header is not None]
    run.note(f"{len(bags)} captures of {len(stamps)} frames, {requested} on request")
    run.expect(0 < requested < len(bags), "nothing was captured on request, or by the rule")
    run.expect(len(stamps) == len(set(stamps)), "a frame is in two captures")
    _expect_flow(run)


def load(run: SoakRun, seconds: float) -> None:
    """Full HD at 30 frames per second, for a network that processes about three."""
    start = run.settings
    run.swap(replace(start, input_size=LOAD_INPUT_SIZE))
    run.camera.command("size 1080 1920")
    run.camera.command(f"rate {LOAD_RATE}")
    run.wait(seconds)
    run.camera.command(f"rate {run.camera.rate}")
    run.camera.command("size {} {}".format(*FRAME_SIZE))
    run.swap(start)


def _wait_for_labels(run: SoakRun) -> float:
    """Wait for another label image; return the seconds this took."""
    before = run.auditor.outputs
    return run.node.wait_until(lambda: run.auditor.outputs > before, "labels")


def _served(subscriber: SubscriberProcess) -> Callable[[], bool]:
    return lambda: subscriber.received > 0


def _expect_flow(run: SoakRun) -> None:
    """Check that the fault did not block the node's publishing."""
    observed = run.auditor.observed
    publishing = percentiles(observed.publish_ms or [0.0]).p95
    run.expect(publishing < STALLED_MS, f"p95 of the time to publish is {publishing:.0f} ms")
    gap = observed.longest_gap or 0.0
    run.expect(gap < LONGEST_GAP, f"no output for {gap:.1f} s")


FAULTS: dict[str, Fault] = {
    STEADY: steady,
    "camera killed": camera_killed,
    "subscriber killed": subscriber_killed,
    "slow subscriber": slow_subscriber,
    STAMPS_BACK: stamps_back,
    "lifecycle": lifecycle,
    "model swaps": swaps,
    "broken messages": broken_messages,
    "captures": captures,
    "burst": burst,
    "load": load,
}
"""The faults of a round, in order; see `rounds` for `node_killed`."""


def phase_seconds(seconds: float) -> float:
    """Return the length of a phase, so that a run of `seconds` holds at least one round."""
    return min(LONGEST_PHASE, max(SHORTEST_PHASE, seconds / (len(FAULTS) + 2) / 1.5))


def rounds() -> Iterator[tuple[str, Fault]]:
    """Yield faults without end; the node is killed first, so that its second life is long."""
    yield NODE_KILLED, node_killed
    while True:
        yield from FAULTS.items()
