"""`tdnet benchmark` from end to end, on small frames."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import browser
from support.html_page import HtmlPage

from tdnet import __version__
from tdnet_offline.command import main
from tdnet_offline.operations import count_operations
from tdnet_offline.report.table import digits

SIZE = (64, 128)
FRAMES = 5
WORDS = (
    "benchmark --variant td4-evit-b0 --input-size 64 128 --camera-size 96 160 --device cpu "
    f"--precision bfloat16 --frames {FRAMES} --accuracy street:1000007@96x160,frames=3"
).split()
STAGES = ["preprocess", "network", "postprocess", "download"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a benchmark; `said` is its terminal output."""
    folder = tmp_path_factory.mktemp("benchmark")
    output = ["--json", folder / "all.json", "--plot", folder / "all.html", "--profile", folder]
    text = io.StringIO()
    with redirect_stdout(text):
        assert main([*WORDS, *map(str, output)]) == 0
    (folder / "said").write_text(text.getvalue())
    return folder


@pytest.fixture(scope="module")
def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "all.json").read_text())
    return found


@pytest.fixture(scope="module")
def run(document: dict[str, Any]) -> dict[str, Any]:
    (found,) = document["runs"]
    assert isinstance(found, dict)
    return found


def test_the_installed_command_measures(tmp_path: Path) -> None:
    """Each run imports the file of the command again in a new process."""
    command = shutil.which("tdnet") or shutil.which("tdnet", path=str(Path(sys.executable).parent))
    assert command is not None
    output = tmp_path / "out.json"
    done = subprocess.run(
        [
            *(command, "benchmark", "--device", "cpu", "--precision", "float32", "--frames", "2"),
            *("--input-size", "64", "64", "--camera-size", "32", "64", "--json", str(output)),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(output.read_text())["runs"]) == 1


def test_says_what_was_measured_where(document: dict[str, Any], run: dict[str, Any]) -> None:
    assert (document["format"], document["version"]) == ("tdnet benchmark", 3)
    assert document["versions"]["tdnet"] == __version__
    assert "logical cores" in document["hardware"]
    assert document["failed"] == []
    assert run["setting"] == {
        "variant": "td4-evit-b0",
        "weights": "packaged",
        "input_size": list(SIZE),
        "camera_size": [96, 160],
        "device": "cpu",
        "precision": "bfloat16",
        "runtime": "torch",
    }


def test_latency_is_that_of_the_frames(run: dict[str, Any]) -> None:
    times = run["latencies_ms"]
    assert len(times) == FRAMES
    total = run["frame_to_labels_ms"]
    assert total["count"] == FRAMES
    expected = np.percentile(times, (50, 95, 99))
    assert [total[name] for name in ("p50", "p95", "p99")] == pytest.approx(expected)
    assert list(run["stages_ms"]) == STAGES
    assert all(stage["count"] == FRAMES for stage in run["stages_ms"].values())
    assert run["after_ms"]["p50"] > 0
    assert 0 < run["frames_per_second"] <= 1e3 / min(times)


def test_floor_follows_from_operations_and_peak(run: dict[str, Any]) -> None:
    assert run["multiply_adds"] == count_operations("td4-evit-b0", SIZE).multiply_adds
    assert run["floor_ms"] == pytest.approx(1e3 * run["multiply_adds"] / run["peak_multiply_adds"])
    p50 = run["frame_to_labels_ms"]["p50"]
    assert run["times_floor"] == pytest.approx(p50 / run["floor_ms"])


def test_cold_start_and_memory_add_up(run: dict[str, Any]) -> None:
    cold = dict(run["cold_start"])
    total = cold.pop("total")
    assert total == pytest.approx(sum(cold.values()))
    assert min(cold.values()) > 0
    memory = run["memory"]
    assert 0 < memory["host_libraries"] <= memory["host_steady"] <= memory["host_peak"]
    assert memory["device_peak"] is None
    counts = run["counts"]
    # More than the convolutions of a path, and every one of them leaves a tensor.
    assert counts["operators"] > 31
    assert counts["bytes_allocated"] > 9 * 17 * 128 * 2
    assert (counts["transfers"], counts["synchronisations"]) == (0, 0)


def test_accuracy_is_against_float32(document: dict[str, Any]) -> None:
    exact, quick = document["accuracy"]
    settings = exact["setting"], quick["setting"]
    assert tuple(one["precision"] for one in settings) == ("float32", "bfloat16")
    assert exact["label_agreement"] == 1
    assert 0.9 < quick["label_agreement"] <= 1
    assert exact["frames"] == quick["frames"] == 3
    assert exact["mean_iou"] == exact["mean_iou_float32"] == quick["mean_iou_float32"]
    assert 0 < quick["mean_iou"] < 1


def test_the_profile_is_a_trace_and_a_table(folder: Path, run: dict[str, Any]) -> None:
    (trace,) = folder.glob("*.trace.json")
    assert trace.name == "td4-evit-b0-64x128-cpu-bfloat16.trace.json"
    names = {event.get("name") for event in json.loads(trace.read_text())["traceEvents"]}
    shares = [cost["share"] for cost in run["operators"]]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1.001
    table = trace.with_name(trace.name.replace(".trace.json", ".txt")).read_text()
    for cost in run["operators"][:3]:
        assert cost["name"] in names
        assert cost["name"] in table
        assert cost["calls"] > 0


def test_the_terminal_shows_the_main_numbers(folder: Path, run: dict[str, Any]) -> None:
    said = (folder / "said").read_text()
    assert "td4-evit-b0 at 64 x 128 on cpu" in said
    assert "bfloat16" in said
    assert digits(run["cold_start"]["total"]) in said
    assert "slowest operators" in said
    assert "labels as float32" in said


def test_the_page_needs_nothing_beside_it(folder: Path, run: dict[str, Any]) -> None:
    page = HtmlPage(folder / "all.html")
    assert page.addresses == []
    bars, lines = page.figures
    assert [trace["name"] for trace in bars["data"]][:4] == STAGES
    assert bars["data"][1]["x"][0] == pytest.approx(run["stages_ms"]["network"]["p50"], abs=1e-3)
    assert len(lines["data"][0]["x"]) == FRAMES
    rows = {row[0]: row[1:] for row in page.tables["td4-evit-b0 at 64 x 128 on cpu"]}
    times = run["times_floor"]
    assert rows["times the floor"] == [digits(times)]


@pytest.fixture(scope="module")
def tab() -> Iterator[browser.Browser]:
    with browser.Browser() as tab:
        yield tab


@browser.NEEDED
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_draws_and_fits(tab: browser.Browser, folder: Path, width: int) -> None:
    tab.requests.clear()
    tab.show(folder / "all.html", width)
    assert tab.value("document.querySelectorAll('.figure svg.main-svg').length") >= 2
    assert tab.value("document.documentElement.scrollWidth") <= width
    assert tab.complaints == []
    assert tab.requests == [(folder / "all.html").as_uri()]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--variant td9", "unknown variant 'td9'"),
        ("--variant psp18 psp50 --weights x.pkl", "--weights is for a single variant"),
        ("--weights .", "export.json: does not exist; give a folder that"),
        ("--device cpu --runtime onnxruntime:tensorrt", "without provider tensorrt: "),
        ("--input-size 3 3", "input size 3 x 3"),
        ("--camera-size 3 3", "'3' is not a whole number from 32 to 4096"),
        ("--precision float8", "unknown precision 'float8'"),
        ("--device tpu", "device 'tpu'"),
        ("--frames 0", "'0' is not a whole number from 1"),
        ("--images nowhere", "nowhere: no such file or folder"),
        ("--camera-size 96 160 --accuracy nowhere:1", "unknown data set 'nowhere'"),
    ],
    ids=lambda text: text.split()[0] if text.startswith("--") else "",
)
def test_a_mistake_is_one_line_and_exit_status_2(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(["benchmark", *words.split()])
    except SystemExit as error:
        status = int(str(error.code))
    captured = capsys.readouterr()
    assert status == 2
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
