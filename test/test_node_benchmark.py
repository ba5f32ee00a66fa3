"""The benchmark of the node: that it measures a real node, and that its sums are right."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from tdnet._util.percentiles import Percentiles
from tdnet_ros.msg import SegmentationStatus
from tools.harness.child_process import end_with_parent
from tools.harness.command_line import rows_of
from tools.node_benchmark.__main__ import main
from tools.node_benchmark.node_run import (
    INFERENCE,
    STAGES,
    FrameRecord,
    NodeResources,
    summarize,
)
from tools.node_benchmark.node_tables import node_tables

ROOT = Path(__file__).parent.parent
TIMEOUT = 400


def record(number: int, *, overlay: float = 7.0) -> FrameRecord:
    """A frame that came 0.1 s after the one before, two frames later by the node's count."""
    status = SegmentationStatus(
        segmented=2 * number,
        wait_ms=1.0 + number,
        convert_ms=2.0,
        preprocess_ms=3.0,
        network_ms=4.0,
        postprocess_ms=5.0 + 0.5,
        download_ms=0.5,
        overlay_ms=overlay,
        publish_ms=8.0,
        message_ms=6.0,
        labels_ms=25.0 + number,
        total_ms=32.0 + number,
        age_ms=50.0,
    )
    return FrameRecord.of(status, heard=100.0 + number / 10)


def test_stages_add_up() -> None:
    frame = record(0)
    assert tuple(frame.stages) == STAGES
    assert sum(frame.stages.values()) == pytest.approx(frame.total)
    assert frame.stages["postprocess"] == pytest.approx(5.0)
    assert (frame.stages["message"], frame.stages["publish"]) == (6.0, 2.0)
    assert frame.stages["rest"] == pytest.approx(32.0 - (1 + 2 + 3 + 4 + 5.5 + 7 + 8))
    assert frame.inference == pytest.approx(3 + 4 + 5.5 + 7)
    assert frame.overhead == pytest.approx(25 - frame.inference)
    assert frame.overhead_of_all == pytest.approx(32 - frame.inference)


def test_what_was_not_published_is_seen() -> None:
    assert record(0).has_outputs(overlay=True)
    assert not record(0).has_outputs(overlay=False)
    assert record(0, overlay=0.0).has_outputs(overlay=False)
    status = SegmentationStatus(labels_ms=math.nan)
    assert not FrameRecord.of(status, 0.0).has_outputs(overlay=False)


def test_runs_are_summed_up_and_shown() -> None:
    process = NodeResources(cpu=1.5, resident_mib=400.0, own_mib=250.0, grown_mib=0.3)
    records = [record(number) for number in range(11)]
    runs = [
        summarize((720, 1280), 30.0, records, process, overlay=True, busy=busy)
        for busy in (True, False)
    ]
    assert runs[0].frames == 11
    assert runs[0].rate == pytest.approx(20.0)
    assert runs[0].labels == Percentiles(30.0, pytest.approx(34.5), pytest.approx(34.9), 11)
    assert runs[0].overhead.p50 == pytest.approx(30 - 19.5)
    (rate,), (latency,), (stages,) = map(rows_of, node_tables(runs))
    assert rate[:4] == ("1280 x 720, overlay", "30.0", "20.0", "1.50")
    assert latency[:2] == ("1280 x 720, overlay", "30.0 / 34.5 / 34.9")
    assert stages[1] == "6.00 / 10.5 / 10.9"


def test_a_real_node_is_measured(tmp_path: Path) -> None:
    arguments = ["--output", str(tmp_path), "--sizes", "96x64", "--frames", "4", "--rate", "10"]
    done = subprocess.run(
        [sys.executable, "-m", "tools.node_benchmark", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        preexec_fn=end_with_parent,
    )
    assert done.returncode == 0, done.stderr
    assert "Stages, ms" in done.stdout
    document = json.loads((tmp_path / "node-benchmark.json").read_text())
    assert {"hardware", "versions", "commit", "system", "load_average"} <= set(document)
    runs = document["runs"]
    assert [(each["overlay"], each["busy"]) for each in runs] == [
        (False, True),
        (False, False),
        (True, True),
        (True, False),
    ]
    for each in runs:
        assert each["size"] == [64, 96]
        assert each["frames"] >= 4
        assert each["rate"] > 0
        assert each["process"]["resident_mib"] > each["process"]["own_mib"] > 10
        stages = each["stages"]
        assert (stages["overlay"]["p50"] > 0) == each["overlay"]
        assert all(stages[name]["p50"] > 0 for name in INFERENCE[:3])
        assert stages["rest"]["p50"] >= 0
        assert 0 < each["overhead"]["p50"] <= each["overhead_of_all"]["p99"]
        assert each["inference"]["p50"] < each["labels"]["p50"] <= each["total"]["p99"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--frames", "1"], "--frames: '1' is not a whole number from 2 to 1000000"),
        (["--rate", "0"], "--rate: '0' is not a number from 0.5 to 1000"),
        (["--rate", "fast"], "--rate: 'fast' is not a number from 0.5 to 1000"),
        (["--sizes", "640x480", "9000x10"], "'9000x10' is not allowed; allowed is WIDTHxHEIGHT"),
        (["--sizes", "640"], "'640' is not allowed; allowed is WIDTHxHEIGHT, as in 640x480"),
    ],
)
def test_mistakes_end_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--output", str(tmp_path), *arguments])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("node-benchmark: ")
    assert says in line
