"""`tdnet convert` writes a checkpoint so that it says itself what it is."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.media import drive

from tdnet import (
    SegmenterSettings,
    StreamingSegmenter,
    create_model,
    describe_weights,
    get_variant,
    load_weights,
    save_weights,
)
from tdnet.checkpoints.official_layout import official_names
from tdnet.network import SegmentationNetwork
from tdnet_offline.command import main

SIZE = (65, 129)
VARIANT = ["--variant", "td4-psp18-nano"]


@pytest.fixture
def model() -> SegmentationNetwork:
    torch.manual_seed(3)
    return create_model("td4-psp18-nano", input_size=SIZE)


@pytest.fixture
def checkpoint(model: SegmentationNetwork, tmp_path: Path) -> Path:
    """The model under the names of the published training code."""
    names = official_names(model.variant, model.state_dict())
    state = {f"module.{names[name]}": item for name, item in model.state_dict().items()}
    state["module.pretrained1.fc.weight"] = torch.zeros(1000, 128)
    path = tmp_path / "official checkpoint.safetensors"
    save_file(state, path)
    return path


def pickled(checkpoint: Path, path: Path) -> Path:
    """Write the checkpoint as the published training code does."""
    content = {"model_state": load_file(checkpoint), "epoch": 3, "best_iou": 0.5}
    torch.save(content, path)
    return path


def test_the_result_describes_itself_and_gives_the_same_labels(
    model: SegmentationNetwork,
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "new folder" / "ü.safetensors"
    given = pickled(checkpoint, tmp_path / "of the training.pkl")
    assert main(["convert", str(given), str(output), *VARIANT]) == 0
    assert "td4-psp18-nano, 19 classes (cityscapes), 65 x 129" in capsys.readouterr().out
    info = describe_weights(output)
    assert (info.format, info.layout, info.variant) == ("safetensors", "tdnet", "td4-psp18-nano")
    assert info.input_size == SIZE
    assert info.class_map is not None
    assert info.class_map.name == "cityscapes"
    converted = SegmenterSettings(weights=str(output), runtime="torch").build()
    original = StreamingSegmenter(model, class_map=info.class_map)
    for image in drive(5):
        np.testing.assert_array_equal(converted.step(image).labels, original.step(image).labels)


def test_converting_again_keeps_everything(checkpoint: Path, tmp_path: Path) -> None:
    once, twice = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    assert main(["convert", str(checkpoint), str(once), *VARIANT]) == 0
    assert main(["convert", str(once), str(twice), *VARIANT]) == 0
    with safe_open(once, "pt") as first, safe_open(twice, "pt") as second:
        assert first.metadata() == second.metadata()
        assert set(first.keys()) == set(second.keys())
        for name in first.keys():  # noqa: SIM118
            assert torch.equal(first.get_tensor(name), second.get_tensor(name))


def test_another_input_size_resizes_the_norms_and_says_so_once(
    checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "large.safetensors"
    words = ["convert", str(checkpoint), str(output), *VARIANT, "--input-size", "97", "193"]
    with caplog.at_level(logging.WARNING):
        assert main(words) == 0
    assert len(caplog.messages) == 1
    assert "layer-norm maps were resized from 9 x 17 to 13 x 25" in caplog.messages[0]
    assert describe_weights(output).input_size == (97, 193)
    load_weights(create_model("td4-psp18-nano", input_size=(97, 193)), output)
    assert len(caplog.messages) == 1


def test_a_class_map_of_the_users_is_stored(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nnetwork: cityscapes\nrest: unlabelled\n"
        "classes:\n  - {id: 7, name: way, color: [1, 2, 3], from: [road, sidewalk]}\n"
    )
    output = tmp_path / "out.safetensors"
    words = ["--class-map", str(tmp_path / "mine.yaml")]
    assert main(["convert", str(checkpoint), str(output), *VARIANT, *words]) == 0
    stored = describe_weights(output).class_map
    assert stored is not None
    assert [(entry.id, entry.name) for entry in stored.classes] == [(7, "way")]


def test_an_unknown_class_count_is_stored_without_a_class_map(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = create_model("psp18-nano", num_classes=5, input_size=SIZE)
    names = official_names(model.variant, model.state_dict())
    state = {names[name]: item for name, item in model.state_dict().items()}
    save_file(state, tmp_path / "names.safetensors")
    output = tmp_path / "five.safetensors"
    words = [
        "convert",
        str(tmp_path / "names.safetensors"),
        str(output),
        "--variant",
        "psp18-nano",
    ]
    assert main(words) == 0
    assert "5 classes (no class map)" in capsys.readouterr().out
    info = describe_weights(output)
    assert info.num_classes == 5
    assert info.class_map is None


class Malicious:
    """Creates a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.pkl", "out.safetensors", *VARIANT], "none.pkl: does not exist"),
        (["text.pkl", "out.safetensors", *VARIANT], "text.pkl"),
        (["half.pkl", "out.safetensors", *VARIANT], "half.pkl: damaged, truncated"),
        (["evil.pkl", "out.safetensors", *VARIANT], "evil.pkl: refused"),
        (["good", "out.safetensors", "--variant", "psp18"], "fits variant 'td4-psp18-nano'"),
        (["good", "out.safetensors", "--variant", "td5"], "unknown variant 'td5'"),
        (["good", "out.pth", *VARIANT], "must end in .safetensors"),
        (["good", "out.safetensors", *VARIANT, "--class-map", "camvid"], "has 19 classes"),
        (["good", "out.safetensors", *VARIANT, "--input-size", "1", "9"], "input size 1 x 9"),
        (["good", "text.pkl/out.safetensors", *VARIANT], "text.pkl"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_exit_status_2(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint.rename("good")
    content = pickled(Path("good"), Path("half.pkl")).read_bytes()
    Path("half.pkl").write_bytes(content[: len(content) // 2])
    Path("text.pkl").write_text("no weights")
    torch.save({"model_state": Malicious()}, "evil.pkl")
    try:
        status = main(["convert", *words])
    except SystemExit as error:
        status = int(str(error.code))
    captured = capsys.readouterr()
    assert status == 2
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not list(tmp_path.glob("out.*"))
    assert not Path("executed").exists()


def test_fewer_memory_frames_stay_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = create_model(get_variant("td4-psp18-nano").limited_memory(1), input_size=SIZE)
    given, written = tmp_path / "few.safetensors", tmp_path / "again.safetensors"
    save_weights(few, given)
    assert main(["convert", str(given), str(written), *VARIANT]) == 0
    capsys.readouterr()
    assert describe_weights(written).memory_frames == 1
    costs = []
    save_weights(create_model("td4-psp18-nano", input_size=SIZE), tmp_path / "all.safetensors")
    for path in (written, tmp_path / "all.safetensors"):
        assert main(["info", str(path)]) == 0
        (line,) = (
            line for line in capsys.readouterr().out.splitlines() if line.startswith("cost:")
        )
        costs.append(line)
    assert costs[0] != costs[1]
