"""The faults: each acts on a run for some seconds and says what must hold."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from tdnet.checkpoints.weights import packaged_weights
from tdnet.continuity import SHORTEST_LIMIT, ResetReason
from tools.soak.account import STAMPS_BACK, STEADY
from tools.soak.contents import CONTENT_SIZE
from tools.soak.errors import SoakError
from tools.soak.run import Run
from tools.soak.subscriber_process import SubscriberProcess

Fault = Callable[[Run, float], None]

BURST_RATE = 60.0
# In a row.
BROKEN_MESSAGES = 100
LOAD_RATE = 30.0
# At which the nano network needs about a third of a second on one processor.
LOAD_INPUT_SIZE = (513, 1025)
SLOW_SECONDS = 1.0
# Within which a subscriber that is started anew usually has labels.
SERVED_SECONDS = 20.0
# Whom a slow subscriber holds up takes as long as that one sleeps.
STALLED_MS = SLOW_SECONDS * 1e3 / 4
# Without an output, on a machine that does other things too.
LONGEST_GAP = 3.0


def steady(run: Run, seconds: float) -> None:
    """Nothing happens."""
    run.wait(seconds)


def camera_killed(run: Run, seconds: float) -> None:
    """The camera driver dies and comes back after longer than the automatic `memory.max_gap`."""
    run.wait(seconds / 4)
    run.camera.kill()
    run.wait(SHORTEST_LIMIT + 1)
    gaps = run.auditor.resets.get(ResetReason.GAP.value, 0)
    run.camera.restart()
    back = _wait_for_labels(run)
    run.note(f"labels {back:.1f} s after the camera was started again")
    run.wait(seconds / 4)
    emptied = run.auditor.resets.get(ResetReason.GAP.value, 0) - gaps
    run.expect(emptied == 1, f"the memory was emptied {emptied} times after the gap, not once")


def subscriber_killed(run: Run, seconds: float) -> None:
    """A program that uses the labels dies and comes back."""
    run.wait(seconds / 4)
    run.subscriber.kill()
    run.wait(seconds / 4)
    begun = time.monotonic()
    run.subscriber.restart()
    try:
        run.wait_until(run.subscriber.hears, "labels at the new subscriber", SERVED_SECONDS)
    except SoakError as error:
        # Seen once in 260 times, before it avoided the ports of killed processes: docs/soak.md.
        run.note(f"{error}, and started another one")
        run.subscriber.kill()
        run.subscriber.restart()
        run.wait_until(run.subscriber.hears, "labels at another new subscriber")
    run.note(f"a new subscriber heard labels after {time.monotonic() - begun:.1f} s")
    run.wait(seconds / 2 - (time.monotonic() - begun))
    _expect_flow(run)


def slow_subscriber(run: Run, seconds: float) -> None:
    """A reliable subscriber sleeps a second over each label image."""
    slow = SubscriberProcess(SLOW_SECONDS, run.output / "subscriber.log")
    run.wait_until(slow.hears, "labels at the slow subscriber")
    run.wait(seconds)
    run.note(f"the slow one took {slow.heard}")
    slow.stop()
    _expect_flow(run)


def node_killed(run: Run, seconds: float) -> None:
    """The node dies and is started again."""
    run.wait(seconds / 4)
    run.node.kill_and_respawn()
    active = run.node.wait_until_active()
    heard = run.subscriber.heard
    _wait_for_labels(run)
    run.wait_until(lambda: run.subscriber.heard > heard, "labels at the old subscriber")
    run.note(f"active {active:.1f} s after it was started again, old subscribers served")
    run.wait(seconds / 4)


def lifecycle(run: Run, seconds: float) -> None:
    """Deactivate and activate, then clean up and configure, while frames come in."""
    for labels in (
        ("deactivate", "activate"),
        ("deactivate", "cleanup", "configure", "activate"),
    ):
        run.wait(seconds / 4)
        for label in labels:
            if label == "activate":
                # What it said before is still on its way.
                run.wait(0.5)
                run.auditor.restart_counts()
            run.expect(run.auditor.transition(label), f"{label} failed")
        back = _wait_for_labels(run)
        run.note(f"labels {back:.1f} s after {', '.join(labels)}")
    run.wait(seconds / 4)
    activated = run.auditor.resets.get(ResetReason.ACTIVATED.value, 0)
    run.expect(activated == 2, f"{activated} of 2 activations began with an empty memory")


def stamps_back(run: Run, seconds: float) -> None:
    """A bag of ten frames that loops: the same stamps over and over."""
    run.camera.obey("stamps loop")
    run.wait(seconds)
    run.camera.obey("stamps now")
    back = run.auditor.resets.get(ResetReason.STAMP_BACKWARDS.value, 0)
    run.expect(back > 0, "the memory was not emptied when stamps went back")


def broken_messages(run: Run, seconds: float) -> None:
    """Among the frames come messages whose fields lie; the frames are still answered."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run.broken_seed += 1
        run.camera.obey(f"broken {run.broken_seed} {BROKEN_MESSAGES}")
        _wait_for_labels(run)
        run.wait(0.5)
    counts = run.auditor.counts
    run.note(f"{counts.refused} of {counts.received} refused")
    run.expect(counts.refused > 0, "none of the broken messages was refused")


def burst(run: Run, seconds: float) -> None:
    """The camera sends at a rate far over what the node manages."""
    run.camera.obey(f"rate {BURST_RATE}")
    run.wait(seconds)
    run.camera.obey(f"rate {run.camera.rate}")


def swaps(run: Run, seconds: float) -> None:
    """The model is exchanged while frames come in, and sets that must be refused are."""
    class_map = run.output / "class_map.yaml"
    class_map.write_text(
        "name: renamed\nnetwork: cityscapes\nrest: keep\nclasses:\n"
        "  - {name: lane, from: [road]}\n"
    )
    broken = run.output / "corrupt.safetensors"
    broken.write_bytes(b"\x10" * 4096)
    start = run.settings
    weights = str(packaged_weights(start.variant))
    for changed in (
        replace(start, input_size=(193, 385)),
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
        ({"variant": "psp18-nano", "weights": weights}, "wrong variant"),
    ):
        reason = run.auditor.set_parameters(values)
        run.expect(bool(reason), f"{what} was not refused")
        run.note(f"{what}: refused")
        run.wait(seconds / 10)
    emptied = run.auditor.resets.get(ResetReason.MODEL.value, 0)
    run.expect(emptied == 4, f"the memory was emptied {emptied} times in 4 swaps")
    _expect_flow(run)


def load(run: Run, seconds: float) -> None:
    """Full HD at 30 frames a second into a network that manages about three."""
    start = run.settings
    run.swap(replace(start, input_size=LOAD_INPUT_SIZE))
    run.camera.obey("size 1080 1920")
    run.camera.obey(f"rate {LOAD_RATE}")
    run.wait(seconds)
    run.camera.obey(f"rate {run.camera.rate}")
    run.camera.obey("size {} {}".format(*CONTENT_SIZE))
    run.swap(start)


def _wait_for_labels(run: Run) -> float:
    """Wait for another label image, and say how many seconds it took."""
    heard = run.auditor.outputs
    return run.wait_until(lambda: run.auditor.outputs > heard, "labels")


def _expect_flow(run: Run) -> None:
    """What happened must not have kept the node from publishing."""
    publishing = run.auditor.publish_p95
    run.expect(publishing < STALLED_MS, f"p95 of the time to publish is {publishing:.0f} ms")
    gap = run.auditor.longest_gap
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
    "burst": burst,
    "load": load,
}
"""What a round goes through, in order; `node_killed` is not among them, see `soak.plan`."""
