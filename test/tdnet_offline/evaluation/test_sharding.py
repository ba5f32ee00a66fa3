"""Several processes share the videos, and give what one process gives."""

from __future__ import annotations

import os
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
from tdnet_offline.evaluation.evaluating import evaluate
from tdnet_offline.evaluation.json_file import load_evaluation
from tdnet_offline.evaluation.merging import merge
from tdnet_offline.evaluation.sharding import Shard

STREET = "street:40-42@64x96,frames=4"


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


def processes(*words: str) -> list[subprocess.CompletedProcess[str]]:
    """Run the command in two processes, with what torchrun tells them."""
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tdnet_offline.command", *words],
            env={**os.environ, **common, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    found = []
    for process in started:
        out, error = process.communicate(timeout=180)
        found.append(subprocess.CompletedProcess(words, process.returncode, out, error))
    return found


def test_torchrun_gives_what_one_process_gives(
    weights: Path, tmp_path: Path, one_thread: None
) -> None:
    words = ["evaluate", STREET, "--weights", str(weights), "--device", "cpu", "--report"]
    assert main([*words, str(tmp_path / "one")]) == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "tdnet_offline.command"]
    done = subprocess.run(
        [*command, *words, str(tmp_path / "two")],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    one, two = (load_evaluation(tmp_path / name / "evaluation.json") for name in ("one", "two"))
    assert (one.setting.processes, two.setting.processes) == (1, 2)
    assert without_times(two) == without_times(one)
    assert len(one.frames) == 12
    assert one.truth_consistency is not None
    assert done.stdout.count("mIoU, path 0") == 1  # the first process speaks for all


def test_an_error_of_one_process_ends_all_with_one_line(weights: Path, tmp_path: Path) -> None:
    class_map = ClassMap.load("cityscapes")
    (tmp_path / "class_map.yaml").write_text(class_map.to_yaml(), encoding="utf-8")
    for video, label in {"first": 3, "second": 77}.items():  # of which one is no class
        folder_of(tmp_path / "frames" / video, drive(1))
        write_labels(tmp_path / "labels" / video / "0.png", np.full((48, 64), label, np.uint8))
    words = ["evaluate", f"folder:{tmp_path}", "--weights", str(weights), "--device", "cpu"]
    first, second = processes(*words)
    assert (first.returncode, second.returncode) == (2, 2), first.stderr + second.stderr
    assert "77" in first.stderr
    assert first.stderr.count("\n") == 1
    assert (first.stdout, second.stdout, second.stderr) == ("", "", "")
