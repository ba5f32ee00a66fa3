"""Evaluations as files: an exact way back, and clear words about what is no evaluation."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.evaluations import values_of
from support.media import drive
from support.videos import MemoryVideo, dataset_of

from tdnet import StreamingSegmenter
from tdnet.errors import InputError
from tdnet_offline.evaluation.evaluating import evaluate
from tdnet_offline.evaluation.json_file import load_evaluation, save_evaluation
from tdnet_offline.evaluation.result import Evaluation


@pytest.fixture(scope="module")
def evaluation(segmenter: StreamingSegmenter) -> Evaluation:
    """Of a video with some labels, and one without, whose name is in no code page."""
    draw = np.random.default_rng(0)
    truth = {i: draw.integers(0, 19, (48, 64)).astype(np.uint8) for i in (0, 2, 3)}
    stamps = [10**18 + index * 10**8 + 1 for index in range(5)]
    video = MemoryVideo("a", drive(5), truth, stamps_ns=stamps)
    other = MemoryVideo("улица \U0001f6a6 \"'<&", [*drive(2), None])
    return evaluate(dataset_of(video, other), segmenter, worst=2)


def test_what_is_read_is_what_was_written(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "new" / "evaluation.json"
    save_evaluation(evaluation, path)
    assert values_of(load_evaluation(path)) == values_of(evaluation)
    assert [file.name for file in path.parent.iterdir()] == ["evaluation.json"]


def test_paced_evaluations_too(evaluation: Evaluation, tmp_path: Path) -> None:
    frames = tuple(
        replace(frame, age_ms=index / 7) for index, frame in enumerate(evaluation.frames)
    )
    paced = replace(
        evaluation,
        frames=frames,
        truth_consistency=None,
        available=np.arange(19 * 20).reshape(19, 20),
        waited_seconds=0.1 + 0.2,
        dropped={"a": 3},
    )
    save_evaluation(paced, tmp_path / "e.json")
    assert values_of(load_evaluation(tmp_path / "e.json")) == values_of(paced)


def changed(document: dict[str, Any], **fields: Any) -> str:
    return json.dumps({**document, **fields})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: "",
        lambda d: "\x00\x01",
        lambda d: "[]",
        lambda d: "{}",
        lambda d: "[" * 100_000,
        lambda d: changed(d, version=99),
        lambda d: changed(d, format="coco"),
        lambda d: changed(d, boundary=[[1, 2, 3, 4]]),
        lambda d: changed(d, consistency=[[-1] * 19] * 19),
        lambda d: changed(d, consistency=[[0.5] * 19] * 19),
        lambda d: changed(d, frames=[{"video": "a"}]),
        lambda d: changed(d, worst=[{"record": d["frames"][0], "image": "?"}]),
        lambda d: changed(d, setting={**d["setting"], "colour": "red"}),
        lambda d: changed(d, dropped=None),
    ],
    ids=[
        *("empty", "binary", "a list", "nothing", "deep", "newer", "other format"),
        *("few counts", "negative", "no counts", "half a frame", "no picture"),
        *("unknown setting", "nothing dropped"),
    ],
)
def test_what_is_no_evaluation_is_told_in_one_line(
    evaluation: Evaluation, tmp_path: Path, spoil: Any
) -> None:
    path = tmp_path / "e.json"
    save_evaluation(evaluation, path)
    path.write_text(spoil(json.loads(path.read_text(encoding="utf-8"))), encoding="utf-8")
    with pytest.raises(InputError, match=r"e\.json: .*give an evaluation\.json") as caught:
        load_evaluation(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: "):
        load_evaluation(tmp_path / "none.json")
