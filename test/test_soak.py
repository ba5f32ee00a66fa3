"""The soak runs, reports, and detects the faults that it must detect."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from support.html_page import HtmlPage
from support.ros_graph import image_message, wait_for

from tdnet import SegmenterSettings
from tdnet._util.percentiles import Percentiles
from tdnet._util.process_usage import ProcessUsage
from tdnet_offline.street import StreetDrive
from tdnet_ros.msg import SegmentationStatus
from tools.harness.child_process import end_with_parent
from tools.harness.command_line import rows_of
from tools.harness.node_observer import FrameCounts
from tools.harness.numbered_frames import draw_frames, frame_number, numbered_stamp
from tools.soak.__main__ import main
from tools.soak.auditor import Auditor
from tools.soak.chart import timeline_figure
from tools.soak.checks import failed_checks
from tools.soak.phase import STEADY, CountTotal, ObservedOutputs, Phase
from tools.soak.replay import LabelSample, Replay
from tools.soak.run import RunRecord, RunSample
from tools.soak.soak_report import fault_table
from tools.soak.transport import measure

ROOT = Path(__file__).parent.parent
TIMEOUT = 240


def start_soak(output: Path, minutes: float) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "tools.soak",
        "--output",
        str(output),
        "--minutes",
        str(minutes),
    ]

    def prepare() -> None:
        end_with_parent()
        # A process in the background of a shell ignores Ctrl-C, and its children inherit this.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=prepare
    )


def report_of(output: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((output / "soak.json").read_text())
    return content


def test_a_short_run_accounts_for_every_frame(tmp_path: Path) -> None:
    """The run is so short that killing the node is its only fault."""
    process = start_soak(tmp_path, 0.1)
    said, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, said
    assert "every check holds" in said
    report = report_of(tmp_path)
    (phase,) = report["phases"]
    counts = phase["counts"]
    assert phase["fault"] == "node killed"
    assert counts["received"] == counts["segmented"] + counts["dropped"] + counts["refused"]
    assert 0 < phase["outputs"] == phase["checked"]
    assert phase["sent"] > counts["received"]  # some while no node ran
    assert [sample["life"] for sample in report["samples"]][-1] == 2
    assert report["exit_status"] == 0
    page = HtmlPage(tmp_path / "soak.html")
    assert page.addresses == []
    assert page.tables["Frames by fault"][1][:2] == ["node killed", "1"]
    (timeline,) = page.figures
    assert len(timeline["data"][0]["x"]) == len(report["samples"])


def test_ctrl_c_leaves_a_report(tmp_path: Path) -> None:
    process = start_soak(tmp_path, 60)
    try:
        log = tmp_path / "node-1.log"

        def active() -> bool:
            assert process.poll() is None
            return log.exists() and "active: " in log.read_text()

        wait_for(active, "the node", TIMEOUT)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    assert process.returncode == 130
    assert report_of(tmp_path)["exit_status"] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--minutes", "0"], "--minutes: '0' is not a number from 0.1 to"),
        (["--rate", "0.1"], "--rate: '0.1' is not a number from 0.5 to 1000"),
    ],
)
def test_mistakes_end_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    with pytest.raises(SystemExit, match="^2$"):
        main(["--output", str(tmp_path), *arguments])
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_transport_counts_what_arrives(tmp_path: Path) -> None:
    """The frames are so small and slow that all arrive."""
    draw_frames(tmp_path / "frames.npy")
    case = measure(tmp_path, True, "reliable", frames=10, rate=4.0, size=(90, 160))
    assert (case.sent, case.arrived) == (10, 10)
    assert case.delay is not None
    assert 0 < case.delay.p50 <= case.delay.p95


class FakeNode:
    """Publishes on the node's topics what a test wants."""

    def __init__(self) -> None:
        self._context = Context()
        rclpy.init(args=[], context=self._context)
        self._node = rclpy.create_node("tdnet", context=self._context)
        self._labels = self._publisher(Image, "/tdnet/labels")
        self._status = self._publisher(SegmentationStatus, "/tdnet/status")

    def _publisher(self, message_type: type[Any], topic: str) -> Publisher:
        publisher = self._node.create_publisher(message_type, topic, QoSProfile(depth=50))
        wait_for(publisher.get_subscription_count, f"the auditor on {topic}")
        return publisher

    def publish(self, number: int, labels: np.ndarray, **status: Any) -> None:
        """Publish labels and status for a frame."""
        message = image_message(labels, encoding="mono8")
        stamp = numbered_stamp(10**18, number)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
        self._labels.publish(message)
        self._status.publish(SegmentationStatus(header=message.header, **status))

    def close(self) -> None:
        """End it."""
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Three frames of a street, far from each other."""
    drive = StreetDrive(5, rate=0.5)
    return np.stack([drive.frame(index).image for index in range(3)])


@pytest.fixture(scope="module")
def replay(images: np.ndarray) -> Iterator[Replay]:
    """Compare with the packaged network."""
    replay = Replay(images, SegmenterSettings(device="cpu", runtime="torch"))
    yield replay
    replay.close()


def test_labels_of_another_frame_are_noticed(replay: Replay) -> None:
    references = replay.references()
    auditor = Auditor(replay)
    node = FakeNode()
    node.publish(1, references[1], received=1, segmented=1)
    node.publish(2, references[0], received=2, segmented=2)
    node.publish(0, references[0], received=9, segmented=3, dropped=1)
    wait_for(lambda: auditor.total.received == 9, "the status")
    observed, _ = auditor.take_phase()
    node.close()
    auditor.close()
    assert observed.checked == 3
    answered, sums = observed.problems
    assert answered == "frame 2 was answered with labels of 0"
    assert sums.startswith("the sums do not agree")


def test_labels_are_compared_with_the_library(replay: Replay, images: np.ndarray) -> None:
    stream = SegmenterSettings(device="cpu", runtime="torch").build().open_stream()
    labels = [stream.step(images[index]).labels for index in (0, 2)][1]
    replay.take_results()
    replay.offer(LabelSample((0, 2), labels))
    replay.offer(LabelSample((0, 1), labels, "float16, onnxruntime:cpu"))
    wait_for(lambda: len(replay.results) == 2, "two comparisons")
    equal, other = replay.take_results()
    assert not equal
    assert other.startswith("labels of frames (0, 1) equal the library's in only")
    assert other.endswith(" (node: float16, onnxruntime:cpu; library: float32, torch)")


def test_a_stamp_holds_the_number_of_its_frame() -> None:
    stamp = numbered_stamp(1_700_000_000_123_456_789, 23)
    assert frame_number(stamp) == 23
    assert abs(stamp - 1_700_000_000_123_456_789) < 1000


def test_counts_add_up_over_the_lives_of_a_node() -> None:
    counted = CountTotal()
    counted.update(FrameCounts(received=5, segmented=3, dropped=1))
    counted.update(FrameCounts(received=4, segmented=3))  # late
    counted.restart()
    counted.update(FrameCounts(received=2, segmented=1, refused=1))
    # The frame at work when the node was killed does not count as received.
    assert counted.total == FrameCounts(received=6, segmented=4, dropped=1, refused=1)


@pytest.mark.parametrize(
    ("counts", "observed", "problem"),
    [
        (FrameCounts(3, 2, 1, 0), ObservedOutputs(stamps=Counter([1, 2])), ""),
        (
            FrameCounts(3, 2, 0, 0),
            ObservedOutputs(stamps=Counter([1, 2])),
            "3 received, but 2 segmented",
        ),
        (FrameCounts(5, 5, 0, 0), ObservedOutputs(stamps=Counter([1, 2])), "5 received of 4 sent"),
        (
            FrameCounts(3, 3, 0, 0),
            ObservedOutputs(stamps=Counter([1, 1])),
            "1 outputs with stamps of no",
        ),
        (
            FrameCounts(3, 3, 0, 0),
            ObservedOutputs(stamps=Counter([9])),
            "1 outputs with stamps of no",
        ),
        (FrameCounts(3, 3, 0, 0), ObservedOutputs(problems=["labels"]), "labels"),
    ],
    ids=["correct", "unanswered", "too many", "answered twice", "never sent", "wrong labels"],
)
def test_a_phase_checks_its_sums(
    counts: FrameCounts, observed: ObservedOutputs, problem: str
) -> None:
    phase = Phase(STEADY, 0.0)
    phase.finish(observed, [1, 2, 3, 4], counts)
    assert len(phase.problems) == bool(problem)
    assert problem in "".join(phase.problems)


def ages(p95: float) -> Percentiles:
    return Percentiles(300, p95, p95, 5)


def samples(memory: Callable[[float], float]) -> list[RunSample]:
    """Return samples of an hour in which the node's memory is a function of the minute."""
    counts = FrameCounts(10, 10)
    usage = ProcessUsage(
        own_mib=0.0,
        shared_mib=60.0,
        file_mib=100.0,
        peak_mib=200.0,
        threads=20,
        files=30,
        cpu_seconds=1.0,
    )
    return [
        RunSample(
            seconds=60.0 * minute,
            fault="load" if minute % 4 == 3 else STEADY,
            life=1,
            usage=replace(usage, own_mib=memory(minute)),
            cpu=0.4,
            device_mib=None,
            rate=5.0,
            age=Percentiles(80.0, 100.0, 110.0, 5) if minute % 7 else None,
            sent=10,
            counts=counts,
        )
        for minute in range(61)
    ]


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (RunRecord(samples=samples(lambda _: 300.0), exit_status=0), ""),
        (
            RunRecord(samples=samples(lambda minute: 300.0 + minute), exit_status=0),
            "memory grew by",
        ),
        (
            RunRecord(
                samples=samples(lambda minute: 270.0 if minute < 4 else 400.0), exit_status=0
            ),
            "",
        ),
        (RunRecord(exit_status=-11), "ended with status -11"),
        (RunRecord(problems=["no answer"], exit_status=0), "no answer"),
        (
            RunRecord(
                [Phase("load", 0, age=ages(5000), work=ages(400))],
                exit_status=0,
            ),
            "p95 of the age 5000 ms",
        ),
    ],
    ids=["good", "memory", "more after the first load", "exit", "problem", "age"],
)
def test_failed_checks(record: RunRecord, problem: str) -> None:
    problems = failed_checks(record)
    assert len(problems) == bool(problem)
    assert problem in "".join(problems)


def test_timeline_shows_an_hour() -> None:
    figure = timeline_figure(samples(lambda minute: 300.0 + minute))
    assert figure is not None
    lines = {line.name: line for line in figure.data}
    assert list(lines) == [
        *("own", "shared with the transport", "p50", "p95", "outputs", "processors")
    ]
    assert lines["own"].x[-1] == 60
    assert lines["own"].y[-1] == 360
    assert [value is None for value in lines["p95"].y[:8]] == [True, *[False] * 6, True]
    assert [(round(shape.x0), round(shape.x1)) for shape in figure.layout.shapes] == [
        (minute - 1, minute) for minute in range(3, 61, 4)
    ]


def test_fault_table_adds_up() -> None:
    phases = [
        Phase("burst", 0, sent=9, counts=FrameCounts(8, 3, 5, 0), outputs=3),
        Phase("burst", 9, sent=5, counts=FrameCounts(5, 3, 1, 1), outputs=3),
        Phase(STEADY, 20, sent=2, counts=FrameCounts(2, 2, 0, 0), outputs=2),
    ]
    rows = {row[0]: row[1:] for row in rows_of(fault_table(phases))}
    assert rows["burst"][:8] == ("2", "14", "1", "13", "6", "6", "1", "6")
    assert rows["all"][:8] == ("3", "16", "1", "15", "8", "6", "1", "8")
