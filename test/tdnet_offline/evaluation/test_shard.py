"""Several processes share the videos, and give what one process gives."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.evaluations import without_times
from support.labelled import write_labels
from support.media import drive, folder_of
from support.videos import MemoryVideo, dataset_of

from tdnet import ClassMap, StreamingSegmenter
from tdnet_offline.command import main
from tdnet_offline.evaluation.evaluation_file import load_evaluation
from tdnet_offline.evaluation.runner import evaluate, merge
from tdnet_offline.evaluation.shard import Shard

STREET = "street:40-42@64x96,frames=4"
ON_CPU = ("--device", "cpu", "--runtime", "torch")


@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 6))
def test_every_video_is_in_one_share(sizes: list[int], processes: int) -> None:
    shares = [Shard(rank, processes).share(sizes) for rank in range(processes)]
    assert sorted(piece for share in shares for piece in share) == list(range(len(sizes)))
    assert all(share == sorted(share) for share in shares)
    loads = [sum(sizes[piece] for piece in share) for share in shares]
    assert max(loads) - min(loads) <= max(sizes, default=0)


def test_parts_merge_to_the_whole(segmenter: StreamingSegmenter) -> None:
    draw = np.random.default_rng(0)
    truth = {i: draw.integers(0, 19, (48, 64)).astype(np.uint8) for i in (1, 2)}
    videos = [
        MemoryVideo("b", drive(4), truth),
        MemoryVideo("a", [None, *drive(3)]),
        MemoryVideo("c", drive(3)[::-1], truth),
    ]
    whole = evaluate(dataset_of(*videos), segmenter, worst=2)
    parts = [
        evaluate(dataset_of(*chosen), segmenter, worst=2)
        for chosen in ([videos[1]], [], [videos[2], videos[0]])
    ]
    assert without_times(merge(parts, ["b", "a", "c"], 2)) == without_times(whole)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As many threads as torchrun gives: with others, sums have other roundings."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def torchrun_variables() -> dict[str, str]:
    """Return what torchrun tells each of two processes, but for its rank."""
    port = str(free_port())
    return {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


def start(rank: int, common: dict[str, str], program: list[str]) -> subprocess.Popen[str]:
    """Start a program as one of two processes."""
    return subprocess.Popen(
        program,
        env={**os.environ, **common, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


SEVERAL_COMMANDS = """
import contextlib, io, json, os, sys
from tdnet_offline.command import main
ports, commands = json.loads(sys.argv[1])
found = []
for port, words in zip(ports, commands):
    os.environ["MASTER_PORT"] = port
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        status = main(words)
    found.append((status, output.getvalue(), errors.getvalue()))
print(json.dumps(found))
"""

Said = tuple[int, str, str]
"""Status, output and errors of a command."""


@dataclass(frozen=True)
class TwoProcesses:
    """What two processes did that ran the same commands, one after the other.

    Attributes:
        words: of the first command, without the folder of its report.
        report: folder of the first command's report.
        evaluated, compared, mistaken: what each process said of each command.
    """

    words: tuple[str, ...]
    report: Path
    evaluated: list[Said]
    compared: list[Said]
    mistaken: list[Said]


@pytest.fixture(scope="module")
def two_processes(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> TwoProcesses:
    """Two processes, since the start of one takes longer than its commands.

    Neither is the test's own process: in one that joined others before, PyTorch counts process
    groups on, and the two would wait for each other.
    """
    folder = tmp_path_factory.mktemp("two")
    controls = ("--memory", "foreign", "--damage", "noise=20", "--seed", "5")
    network = ("--weights", str(weights), *ON_CPU)
    words, report = ("evaluate", STREET, *controls, *network), folder / "report"
    commands = [
        [*words, "--report", str(report)],
        ["evaluate", "--compare", str(report / "evaluation.json")],
        ["evaluate", str(folder / "nothing"), *network],
    ]
    ports = [str(free_port()) for _ in commands]
    program = [sys.executable, "-c", SEVERAL_COMMANDS, json.dumps([ports, commands])]
    common = torchrun_variables()  # the ports are replaced
    started = [start(rank, common, program) for rank in range(2)]
    printed = [process.communicate(timeout=180) for process in started]
    assert [errors for _, errors in printed] == ["", ""]
    said = [[tuple(command) for command in json.loads(output)] for output, _ in printed]
    return TwoProcesses(words, report, *(list(both) for both in zip(*said, strict=True)))


def torchrun(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command as the page says it."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "tdnet_offline.command"]
    return subprocess.run(
        [*command, *map(str, words)], capture_output=True, text=True, timeout=180, check=False
    )


def labelled_folder(root: Path, videos: dict[str, int], label: int = 3) -> Path:
    """Write videos of so many frames, of which the first has labels."""
    class_map = ClassMap.load("cityscapes")
    root.mkdir(exist_ok=True)
    (root / "class_map.yaml").write_text(class_map.to_yaml(), encoding="utf-8")
    for video, count in videos.items():
        folder_of(root / "frames" / video, [drive(1)[0]] * count)
        write_labels(root / "labels" / video / "0.png", np.full((48, 64), label, np.uint8))
    return root


def test_two_processes_give_what_one_gives_with_foreign_memory_and_damage(
    two_processes: TwoProcesses, tmp_path: Path, one_thread: None
) -> None:
    assert main([*two_processes.words, "--report", str(tmp_path)]) == 0
    first, second = two_processes.evaluated
    assert (first[0], second) == (0, (0, "", ""))
    reports = (tmp_path, two_processes.report)
    one, two = (load_evaluation(report / "evaluation.json") for report in reports)
    assert (one.setting.processes, two.setting.processes) == (1, 2)
    assert without_times(two) == without_times(one)
    assert len(one.frames) == 12
    assert one.withheld_memory is None


def test_torchrun_gives_what_one_process_gives(
    weights: Path, tmp_path: Path, one_thread: None
) -> None:
    network = ["--weights", str(weights), *ON_CPU]
    words = ["evaluate", STREET, *network, "--report"]
    assert main([*words, str(tmp_path / "one")]) == 0
    done = torchrun(*words, tmp_path / "two")
    assert done.returncode == 0, done.stderr
    one, two = (load_evaluation(tmp_path / name / "evaluation.json") for name in ("one", "two"))
    assert (one.setting.processes, two.setting.processes) == (1, 2)
    assert without_times(two) == without_times(one)
    assert len(one.frames) == 12
    assert one.withheld_memory is not None
    assert one.withheld_memory.frames == 3
    assert one.truth_consistency is not None
    assert done.stdout.count("mIoU, path 0") == 1  # the first process speaks for all


def test_a_frame_that_one_process_cannot_read(
    weights: Path,
    tmp_path: Path,
) -> None:
    root = labelled_folder(tmp_path / "data", {"first": 2, "second": 2})
    (root / "frames" / "second" / "1.png").write_bytes(b"broken")
    options = ["--weights", weights, *ON_CPU, "--report", tmp_path / "report"]
    done = torchrun("evaluate", f"folder:{root}", *options)
    assert done.returncode != 0
    assert "tdnet: refused second frame 1: " in done.stderr
    # Only the first process exits with an error, after it has written its report. The other may
    # still be shutting down when torchrun sees that, and is then ended by its SIGTERM.
    statuses = re.findall(r"^ *rank *: (\d).*\n *exitcode *: (-?\d+)", done.stderr, re.MULTILINE)
    assert [status for status in statuses if status != ("1", "-15")] == [("0", "1")], done.stderr
    files = {path.name for path in (tmp_path / "report").iterdir()}
    assert files == {"evaluation.json", "report.html", "worst"}
    found = load_evaluation(tmp_path / "report" / "evaluation.json")
    assert found.refused == {"first": 0, "second": 1}
    assert done.stdout.count("report: ") == 1


def test_two_processes_compare_files_once(two_processes: TwoProcesses) -> None:
    first, second = two_processes.compared
    assert (first[0], second) == (0, (0, "", ""))
    assert "mIoU" in first[1]


def test_an_error_of_one_process_ends_it_at_once(weights: Path, tmp_path: Path) -> None:
    labelled_folder(tmp_path, {"long": 200})
    labelled_folder(tmp_path, {"short": 1}, label=77)  # which is no class
    words = ["evaluate", f"folder:{tmp_path}", "--weights", str(weights), *ON_CPU]
    command = [sys.executable, "-m", "tdnet_offline.command", *words]
    common = torchrun_variables()
    first, second = (start(rank, common, command) for rank in range(2))
    out, error = second.communicate(timeout=180)
    at_work = first.poll() is None
    assert (second.returncode, out) == (2, "")
    assert "77" in error
    assert error.count("\n") == 1
    assert at_work
    # torchrun would end it; alone it says so when it asks for the other's share.
    out, error = first.communicate(timeout=180)
    assert (first.returncode, out) == (2, "")
    assert "has ended before its share was done" in error
    assert error.count("\n") == 1


def test_a_mistake_of_all_is_told_once(two_processes: TwoProcesses) -> None:
    # Were the second one's status bad too, torchrun might end the first before it has spoken.
    (status, _, error), second = two_processes.mistaken
    assert (status, second) == (2, (0, "", ""))
    assert "there is nothing at this path" in error
    assert error.count("\n") == 1
