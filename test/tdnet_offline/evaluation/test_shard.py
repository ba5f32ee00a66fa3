"""Several processes share the videos, and give what one process gives."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
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


def start(rank: int, common: dict[str, str], *words: str | Path) -> subprocess.Popen[str]:
    """Start the command as one of two processes."""
    return subprocess.Popen(
        [sys.executable, "-m", "tdnet_offline.command", *map(str, words)],
        env={**os.environ, **common, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_two(*words: str | Path) -> list[tuple[int, str, str]]:
    """Run the command in two processes; return status, output and errors of each.

    Neither is the test's own process: in one that joined others before, PyTorch counts process
    groups on, and the two would wait for each other.
    """
    common = torchrun_variables()
    started = [start(rank, common, *words) for rank in range(2)]
    said = [process.communicate(timeout=180) for process in started]
    return [(process.returncode, *own) for process, own in zip(started, said, strict=True)]


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
    weights: Path,
    tmp_path: Path,
    one_thread: None,
) -> None:
    controls = ["--memory", "foreign", "--damage", "noise=20", "--seed", "5"]
    network = ["--weights", str(weights), *ON_CPU]
    words = ["evaluate", STREET, *controls, *network, "--report"]
    assert main([*words, str(tmp_path / "one")]) == 0
    first, second = run_two(*words, tmp_path / "two")
    assert (first[0], second) == (0, (0, "", ""))
    one, two = (load_evaluation(tmp_path / name / "evaluation.json") for name in ("one", "two"))
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

    first, second = run_two("evaluate", "--compare", tmp_path / "report" / "evaluation.json")
    assert (first[0], second) == (0, (0, "", ""))
    assert "mIoU" in first[1]


def test_an_error_of_one_process_ends_it_at_once(weights: Path, tmp_path: Path) -> None:
    labelled_folder(tmp_path, {"long": 200})
    labelled_folder(tmp_path, {"short": 1}, label=77)  # which is no class
    words = ["evaluate", f"folder:{tmp_path}", "--weights", weights, *ON_CPU]
    common = torchrun_variables()
    first, second = (start(rank, common, *words) for rank in range(2))
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


def test_a_mistake_of_all_is_told_once(
    weights: Path,
    tmp_path: Path,
) -> None:
    words = ["evaluate", tmp_path / "nothing", "--weights", weights, *ON_CPU]
    # Were the second one's status bad too, torchrun might end the first before it has spoken.
    (status, _, error), second = run_two(*words)
    assert (status, second) == (2, (0, "", ""))
    assert "there is nothing at this path" in error
    assert error.count("\n") == 1
