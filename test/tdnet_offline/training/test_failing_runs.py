"""What goes wrong in a run is one clear line, and what was learnt before is kept."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Client, Listener
from pathlib import Path

import numpy as np
import pytest
import torch
from support.full_disk import files_of_at_most
from support.labelled import write_labels
from support.media import write_image
from support.training import (
    CLASS_MAP,
    SINGLE,
    SIZE,
    changed,
    little_config,
    little_recipe,
    write_little,
)

from tdnet import ClassMap, create_model, describe_weights, save_weights
from tdnet.checkpoints.checkpoint import Checkpoint
from tdnet.errors import TdnetError
from tdnet_offline.command import main
from tdnet_offline.training.module import TrainingError
from tdnet_offline.training.runner import run_training, training_errors


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_loss_that_is_no_number_stops_and_names_itself(little: Path, tmp_path: Path) -> None:
    config = little_config(
        tmp_path,
        little,
        network__variant="psp18-nano",
        loss__auxiliary=0,
        optimisation__learning_rate=100.0,
        optimisation__warm_up=0,
        optimisation__iterations=200,
        checkpoint__every=1,
    )
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(TrainingError, match=r"iteration \d+: .* (nan|inf|NaN)"):
        run_training(config)
    tensors = Checkpoint.open(tmp_path / "run" / "last.safetensors").tensors
    assert all(bool(torch.isfinite(item).all()) for item in tensors.values())
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    state = torch.load(tmp_path / "run" / "last.state.pt", weights_only=True)
    assert all(bool(torch.isfinite(item).all()) for item in state["module"].values())


@pytest.mark.parametrize("size", [1 << 20, 14 << 20], ids=["weights", "state"])
def test_a_full_disk_leaves_the_old_checkpoint(
    little: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], size: int
) -> None:
    recipe = little_recipe(tmp_path / "recipe.yaml", little, optimisation__iterations=1)
    assert main(["train", str(recipe)]) == 0
    before = contents(tmp_path / "run")
    assert len(before["last.safetensors"]) < 14 << 20 < len(before["last.state.pt"])
    capsys.readouterr()
    with files_of_at_most(size):
        words = ["resume=true", "optimisation.iterations=2", "validation.every=7"]
        assert main(["train", str(recipe), *words]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert (".safetensors: cannot" if size == 1 << 20 else "last.state.pt: ") in message
    assert "File too large" in message or "os error 27" in message
    after = contents(tmp_path / "run")
    assert set(after) == set(before)
    assert after["last.state.pt"] == before["last.state.pt"]


def test_a_killed_data_worker_is_one_line(little: Path, tmp_path: Path) -> None:
    config = little_config(tmp_path, little, data__workers=1, optimisation__iterations=500)

    def kill() -> None:
        while not multiprocessing.active_children():
            time.sleep(0.02)
        time.sleep(0.2)
        for child in multiprocessing.active_children():
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(TrainingError, match="a data worker was killed"):
        run_training(config)
    thread.join()


def test_a_worker_that_dies_while_it_sends_is_one_line() -> None:
    with Listener() as listener:
        address = listener.address
    cpu = torch.device("cpu")
    with pytest.raises(TrainingError, match="data worker was killed"), training_errors(cpu):
        Client(address)
    with pytest.raises(EOFError), training_errors(cpu):
        raise EOFError  # a file that ends too early


@pytest.mark.parametrize("workers", [0, 1])
def test_mixed_sizes_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: int
) -> None:
    data = write_little(tmp_path / "data")
    write_image(data / "frames" / "v0" / "4.png", np.zeros((50, 60, 3), np.uint8))
    write_labels(data / "labels" / "v0" / "4.png", np.zeros((50, 60), np.uint8))
    recipe = little_recipe(tmp_path / "recipe.yaml", data, data__workers=workers)
    assert main(["train", str(recipe)]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "is 50 x 60, the first one 41 x 73" in message
    assert "Traceback" not in message


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"data.train": ""}, "data.train names no data set"),
        ({"data.train": "folder:nowhere"}, "folder:nowhere: no such folder"),
        ({"loss.distillation": "full"}, "loss.teacher names no checkpoint"),
        ({"network.variant": "td4-psp19"}, "unknown variant 'td4-psp19'"),
        ({"network.memory_frames": "4"}, "memory_frames is 4"),
        ({"init.weights": "none.safetensors"}, "none.safetensors: does not exist"),
        ({"init.weights": "a", "init.single": "b"}, "init.single and init.weights are given"),
        ({"optimisation.batch_size": "3", "optimisation.accumulate": "2"}, "multiples of 2"),
        ({"optimisation.batch_size": "1"}, "leaves one clip to each batch norm"),
        ({"precision": "float16"}, "the CPU trains in float32 or bfloat16"),
        (
            {"network.variant": "psp18-nano", "loss.distillation": "grouped", "loss.teacher": "t"},
            "psp18-nano has no groups",
        ),
        ({"network.variant": "psp18-nano", "network.shared_paths": "true"}, "has one path only"),
        ({"optimisation.iteration": "3"}, "did you mean iterations?"),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else "",
)
def test_a_mistake_in_the_recipe_is_one_line(
    little: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    keys: dict[str, str],
    message: str,
) -> None:
    recipe = little_recipe(tmp_path / "recipe.yaml", little)
    assert main(["train", str(recipe), *(f"{key}={value}" for key, value in keys.items())]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "run" / "last.safetensors").exists()


def test_a_checkpoint_of_another_variant_is_refused(little: Path, tmp_path: Path) -> None:
    config = little_config(tmp_path, little, optimisation__iterations=1)
    weights = run_training(config).weights
    other = little_config(
        tmp_path, little, network__variant="psp18-nano", init__weights=str(weights)
    )
    with pytest.raises(TdnetError, match="it fits variant 'td4-psp18-nano'"):
        run_training(changed(other, output=str(tmp_path / "other")))


def test_workers_read_large_frames(tmp_path: Path) -> None:
    """OpenCV shares large pictures among threads, which a forked process would wait for."""
    data, smooth = tmp_path / "data", np.zeros((1024, 2048, 3), np.uint8)
    for index in range(2):
        write_image(data / "frames" / "v0" / f"{index}.png", smooth)
        write_labels(data / "labels" / "v0" / f"{index}.png", smooth[..., 0])
    (data / "class_map.yaml").write_text(CLASS_MAP, encoding="utf-8")
    keys = {"network__variant": "psp18-nano", "data__frame_size": [33, 65], "data__workers": 2}
    recipe = little_recipe(tmp_path / "recipe.yaml", data, optimisation__iterations=1, **keys)
    threads = "import cv2, sys; cv2.setNumThreads(4); from tdnet_offline.command import main"
    command = [sys.executable, "-c", f"{threads}; sys.exit(main(['train', {str(recipe)!r}]))"]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            assert process.wait(timeout=180) == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def test_float16_that_overflows_is_not_written(little: Path, tmp_path: Path) -> None:
    """A variance that float32 holds and float16 does not."""
    network = create_model("psp18-nano", 3, (33, 65))
    for name, item in network.state_dict().items():
        if name.endswith("running_var"):
            item.fill_(1e6)
    class_map = ClassMap.from_yaml(CLASS_MAP, "little")
    save_weights(network, tmp_path / "large.safetensors", class_map=class_map)
    config = little_config(
        tmp_path,
        little,
        network__variant="psp18-nano",
        init__weights=str(tmp_path / "large.safetensors"),
        optimisation__iterations=1,
        checkpoint__precision="float16",
    )
    with pytest.raises(TrainingError, match="in float16: .*checkpoint.precision=float32"):
        run_training(config)
    assert not (tmp_path / "run" / "last.safetensors").exists()


def write_void(root: Path, known: tuple[int, int] | None = None) -> Path:
    """Write the little data set with at most one labelled pixel a frame."""
    data = write_little(root)
    labels = np.full(SIZE, 255, np.uint8)
    if known is not None:
        labels[known] = 1
    for path in (data / "labels").rglob("*.png"):
        write_labels(path, labels)
    return data


def test_validation_without_truth_is_refused(
    little: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = little_recipe(tmp_path / "recipe.yaml", little)
    source = f"folder:{write_void(tmp_path / 'void')}"
    assert main(["train", str(recipe), f"data.validation={source}"]) == 2
    message = capsys.readouterr().err
    assert f"{source}: no labelled pixel in any frame to validate on" in message
    assert message.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_training_without_truth_is_said(
    little: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = f"folder:{write_void(tmp_path / 'void')}"
    keys = {**SINGLE, "data__validation": f"folder:{little}", "optimisation__iterations": 1}
    recipe = little_recipe(tmp_path / "recipe.yaml", little, **keys)
    assert main(["train", str(recipe), f"data.train={source}"]) == 0
    assert f"{source}: no labelled pixel in any frame looked at" in capsys.readouterr().err
    assert main(["train", str(recipe), "output=" + str(tmp_path / "good")]) == 0
    assert "no labelled pixel" not in capsys.readouterr().err


def test_truth_that_is_lost_on_the_way_gives_no_score(
    little: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one labelled pixel is in a row that the network's smaller size leaves out."""
    sampled = {int((row + 0.5) * SIZE[0] / 33) for row in range(33)}
    row = min(set(range(SIZE[0])) - sampled)
    source = f"folder:{write_void(tmp_path / 'void', known=(row, 0))}"
    recipe = little_recipe(tmp_path / "recipe.yaml", little, data__validation=source, **SINGLE)
    assert main(["train", str(recipe), "optimisation.iterations=1"]) == 0
    captured = capsys.readouterr()
    assert "no labelled pixel was validated" in captured.err
    assert captured.out.endswith("last.safetensors: 1 iterations, not validated\n")
    metadata = describe_weights(tmp_path / "run" / "last.safetensors").metadata
    assert metadata is not None
    assert json.loads(metadata["metrics"]) == {"iteration": 1, "mean_iou": None}
    assert "NaN" not in metadata["metrics"]
