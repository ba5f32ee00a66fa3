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
from tdnet_offline.damage import Damage
from tdnet_offline.evaluation.evaluation_file import MAX_BYTES, load_evaluation, save_evaluation
from tdnet_offline.evaluation.result import Evaluation
from tdnet_offline.evaluation.runner import evaluate
from tdnet_offline.report.evaluation_page import write_report


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


def test_controls_are_kept(segmenter: StreamingSegmenter, tmp_path: Path) -> None:
    truth = {i: np.full((48, 64), i, np.uint8) for i in range(5)}
    dataset = dataset_of(MemoryVideo("a", drive(5), truth))
    damage = Damage(stripe=0.25)
    measured = evaluate(dataset, segmenter, damage=damage, seed=7, withhold=True)
    assert measured.withheld_memory is not None
    save_evaluation(measured, tmp_path / "e.json")
    loaded = load_evaluation(tmp_path / "e.json")
    assert values_of(loaded) == values_of(measured)
    setting = loaded.setting
    assert (setting.memory, setting.damage, setting.seed) == ("full", "stripe=0.25", 7)


def test_files_of_earlier_versions_are_read(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "e.json"
    save_evaluation(evaluation, path)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["version"] == 5
    assert [document["setting"].pop("flow"), document["frames"][0].pop("vc8")] == [
        *("estimated", None)
    ]
    path.write_text(changed(document, version=4), encoding="utf-8")
    assert values_of(load_evaluation(path)) == values_of(evaluation)
    assert document.pop("withheld_memory") is None
    assert [document["setting"].pop(name) for name in ("memory", "damage", "seed")] == [
        *("full", "none", 0)
    ]
    path.write_text(changed(document, version=3), encoding="utf-8")
    assert values_of(load_evaluation(path)) == values_of(evaluation)

    document["setting"].pop("runtime")
    path.write_text(changed(document, version=2), encoding="utf-8")
    loaded = load_evaluation(path)
    assert loaded.setting.runtime == "torch"
    setting = replace(loaded.setting, runtime=evaluation.setting.runtime)
    assert values_of(replace(loaded, setting=setting)) == values_of(evaluation)


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
        lambda d: changed(d, consistency=[[-1] * 20] * 20),
        lambda d: changed(d, consistency=[[0.5] * 20] * 20),
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
    with pytest.raises(InputError, match=r"e\.json:.*give an evaluation\.json") as caught:
        load_evaluation(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (
            ("consistency", 0, 0),
            10**30,
            r"consistency\[0\]\[0\]: got 1000.*; allowed .* from 0 to",
        ),
        (("consistency", 0, 0), 1 << 53, "consistency: more than"),
        (("boundary", 1), 3, r"boundary\[1\]: got 3; allowed a list"),
        (("boundary", 1), [3], "boundary: "),
        (("boundary",), [[1, 2]], r"boundary: got counts of shape \(1, 2\); allowed \(19, 4\)"),
        (("seconds",), 1e999, "seconds: got Infinity; allowed a number from"),
        (("waited_seconds",), True, "waited_seconds: got true; allowed a number"),
        (("refused", "a"), None, "refused.a: got null; allowed a whole number"),
        (("setting", "input_size"), [1], "setting.input_size: got a list of 1; allowed a list of"),
        (("setting", "variant"), {}, "setting.variant: got a mapping; allowed text"),
        (("setting", "class_names", 0, 0), 999, r"class_names\[0\]\[0\]: got 999"),
        (("setting", "class_colors"), [], "class_colors: the ids are not those"),
        (
            ("frames", 0, "stages_ms", "total"),
            "x",
            r"frames\[0\].stages_ms.total: got 'x'; allowed",
        ),
        (("frames", 0, "age_ms"), [], r"frames\[0\].age_ms: got a list of 0; allowed a number"),
        (("frames", 0, "mean_iou"), float("nan"), r"frames\[0\].mean_iou: got NaN"),
        (("frames", 0, "new"), 1, r"frames\[0\]: unknown key 'new'; allowed video"),
        (("worst", 0, "image"), "?", r"worst\[0\].image: "),
        (("setting", "seed"), -1, "setting.seed: got -1; allowed a whole number from 0"),
        (("setting", "memory"), 1, "setting.memory: got 1; allowed text"),
        (("withheld_memory",), 3, "withheld_memory: got 3; allowed a mapping"),
        (("withheld_memory",), {"frames": 1}, "withheld_memory: the key used is missing"),
        (
            ("withheld_memory",),
            {"frames": 1, "used": [], "withheld": [], "pixels": 2, "changed": 3},
            "withheld_memory.changed: got 3; allowed at most withheld_memory.pixels, 2;",
        ),
    ],
    ids=lambda part: ".".join(map(str, part)) if isinstance(part, tuple) else "",
)
def test_a_value_of_another_kind_is_named(
    evaluation: Evaluation, tmp_path: Path, place: tuple[Any, ...], value: object, message: str
) -> None:
    path = tmp_path / "e.json"
    save_evaluation(evaluation, path)
    document = json.loads(path.read_text(encoding="utf-8"))
    part = document
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        load_evaluation(path)
    assert "\n" not in str(caught.value)


def test_a_file_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "e.json").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    assert MAX_BYTES <= 256 << 20  # as memory it is some twenty times that
    with pytest.raises(InputError, match=f"allowed are {MAX_BYTES};"):
        load_evaluation(tmp_path / "e.json")


def test_a_name_that_is_no_text_is_kept_and_shown(
    segmenter: StreamingSegmenter, tmp_path: Path
) -> None:
    name = b"r\xe9".decode("utf-8", "surrogateescape")
    labels = {1: np.zeros((48, 64), np.uint8)}
    evaluation = evaluate(dataset_of(MemoryVideo(name, drive(2), labels), root=name), segmenter)
    save_evaluation(evaluation, tmp_path / "e.json")
    assert values_of(load_evaluation(tmp_path / "e.json")) == values_of(evaluation)
    assert "memory:r?" in write_report(tmp_path, [evaluation]).read_text(encoding="utf-8")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: "):
        load_evaluation(tmp_path / "none.json")
