"""A run that is stopped and resumed is the run that was not."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from support.training import SINGLE, changed, little_config, little_recipe, logged

from tdnet.checkpoints.checkpoint import Checkpoint
from tdnet.errors import InputError
from tdnet_offline.command import main
from tdnet_offline.training.configuration import TrainingRecipe
from tdnet_offline.training.recipe import load_recipe
from tdnet_offline.training.runner import run_training

# All that has a state: momentum, a moving average, dropout, parts of an iteration.
KEYS = {
    "optimisation__iterations": 8,
    "optimisation__batch_size": 4,
    "optimisation__accumulate": 2,
    "optimisation__ema": 0.9,
    "log_every": 2,
    "validation__every": 3,
}
COMMAND = [sys.executable, "-m", "tdnet_offline.command", "train"]


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.fixture(scope="module")
def whole(little: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run leaves that nothing disturbed."""
    return run_training(little_config(tmp_path_factory.mktemp("whole"), little, **KEYS)).folder


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_stopped_run_goes_on_to_the_bit(
    little: Path, tmp_path: Path, whole: Path, number: int, status: int
) -> None:
    recipe = little_recipe(tmp_path / "recipe.yaml", little, checkpoint__every=1, **KEYS)
    with subprocess.Popen([*COMMAND, str(recipe)], stderr=subprocess.PIPE, text=True) as process:
        wait_for(tmp_path / "run" / "last.state.pt", process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == status, errors
    if number == signal.SIGINT:
        assert re.search(r"stopped after iteration \d; resume=true continues\n", errors)
        assert errors.splitlines()[-1].startswith("tdnet: interrupted")
    stopped = logged(tmp_path / "run")
    time.sleep(1)  # TensorBoard orders the files of a run by the second in their names.
    run = run_training(changed(load_recipe(str(recipe)), resume=True)).folder

    assert set(stopped) < {2, 4, 6, 8} == set(logged(run))
    for tag in ("loss/total", "loss/full", "loss/auxiliary", "learning_rate"):
        assert logged(run, tag) == logged(whole, tag)
    validated = logged(run, "validation/mean_iou")
    assert validated == logged(whole, "validation/mean_iou")
    assert set(validated) == {3, 6, 8}
    for name in ("last.safetensors", "best.safetensors"):
        ours, theirs = (Checkpoint.open(folder / name).tensors for folder in (run, whole))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_finished_run_has_nothing_to_do(little: Path, tmp_path: Path) -> None:
    config = little_config(tmp_path, little, optimisation__iterations=1, **SINGLE)
    first = run_training(config)
    before = first.weights.stat().st_mtime_ns
    again = run_training(changed(config, resume=True))
    assert again.progress == first.progress
    assert again.weights.stat().st_mtime_ns == before


def test_a_run_does_not_overwrite_another(little: Path, tmp_path: Path) -> None:
    config = little_config(tmp_path, little, optimisation__iterations=1, **SINGLE)
    run_training(config)
    with pytest.raises(InputError, match="holds a run already; continue it with resume=true"):
        run_training(config)


@pytest.mark.parametrize(
    "name", ["best.safetensors", "last.safetensors", "last.state.pt", "recipe.yaml"]
)
def test_any_file_of_a_run_is_kept(little: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "run" / name
    path.parent.mkdir()
    path.write_bytes(b"of before")
    with pytest.raises(InputError, match=f"holds a run already.*{name}"):
        run_training(little_config(tmp_path, little, optimisation__iterations=1))
    assert path.read_bytes() == b"of before"
    assert list(path.parent.iterdir()) == [path]


@pytest.fixture(scope="module")
def short(little: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run of one iteration leaves; not to be changed."""
    folder = tmp_path_factory.mktemp("short")
    return run_training(little_config(folder, little, optimisation__iterations=1, **SINGLE)).folder


def resumed(folder: Path, little: Path, **keys: object) -> TrainingRecipe:
    """A recipe that continues a copy of `short`."""
    keys = {**SINGLE, "resume": True, "optimisation__iterations": 2, **keys}
    return little_config(folder, little, **keys)


def assert_refused(recipe: TrainingRecipe, key: str, folder: Path) -> None:
    """Check that a changed key is named, and that the files of the run in `folder` are kept."""
    before = {name: (folder / name).read_bytes() for name in ("last.state.pt", "recipe.yaml")}
    with pytest.raises(InputError, match="is of another network or optimiser") as caught:
        run_training(recipe)
    assert f"(changed: {key.replace('__', '.')})" in str(caught.value)
    assert {name: (folder / name).read_bytes() for name in before} == before


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("network__variant", "td4-psp18-nano"),
        ("loss__auxiliary", 0.1),
        ("optimisation__ema", 0.9),
        ("optimisation__optimizer", "adamw"),
    ],
)
def test_what_a_state_cannot_go_on_with_is_refused_and_nothing_lost(
    little: Path, tmp_path: Path, short: Path, key: str, value: object
) -> None:
    shutil.copytree(short, tmp_path / "run")
    assert_refused(resumed(tmp_path, little, **{key: value}), key, tmp_path / "run")


@pytest.mark.parametrize(
    ("key", "value"), [("network__input_size", [65, 129]), ("network__shared_paths", True)]
)
def test_what_paths_cannot_go_on_with_is_refused_and_nothing_lost(
    little: Path, tmp_path: Path, whole: Path, key: str, value: object
) -> None:
    shutil.copytree(whole, tmp_path / "run")
    keys = {**KEYS, "resume": True, "optimisation__iterations": 9, key: value}
    assert_refused(little_config(tmp_path, little, **keys), key, tmp_path / "run")


def test_changed_settings_hold_after_resuming(little: Path, tmp_path: Path, short: Path) -> None:
    shutil.copytree(short, tmp_path / "run")
    keys = {"optimisation__weight_decay": 0.5, "optimisation__momentum": 0.125}
    run_training(resumed(tmp_path, little, **keys))
    state = torch.load(tmp_path / "run" / "last.state.pt", weights_only=True)
    groups = state["optimizer"]["param_groups"]
    assert [group["weight_decay"] for group in groups] == [0.5, 0.0]
    assert [group["momentum"] for group in groups] == [0.125, 0.125]
    assert state["optimizer"]["state"]


def test_a_run_goes_on_without_its_recipe(little: Path, tmp_path: Path, short: Path) -> None:
    shutil.copytree(short, tmp_path / "run")
    (tmp_path / "run" / "recipe.yaml").unlink()
    assert run_training(resumed(tmp_path, little)).progress.iteration == 2


def test_what_a_killed_run_left_half_written_is_removed(
    little: Path, tmp_path: Path, short: Path
) -> None:
    shutil.copytree(short, tmp_path / "run")
    (tmp_path / "run" / ".last.state.4711.partial.pt").write_bytes(b"half")
    run_training(resumed(tmp_path, little))
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        path.name for path in short.iterdir()
    }


def test_a_state_with_one_wrong_byte_is_one_line(
    little: Path, tmp_path: Path, short: Path
) -> None:
    shutil.copytree(short, tmp_path / "run")
    path = tmp_path / "run" / "last.state.pt"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"last\.state\.pt: .*damaged: .*checksum"):
        run_training(resumed(tmp_path, little))


def test_fewer_iterations_than_there_were_is_a_finished_run(
    little: Path, tmp_path: Path, short: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where none of them was validated."""
    shutil.copytree(short, tmp_path / "run")
    path = tmp_path / "run" / "last.state.pt"
    state = torch.load(path, weights_only=True)
    torch.save({**state, "progress": {"iteration": 2}}, path)
    keys = {**SINGLE, "optimisation__iterations": 1}
    recipe = little_recipe(tmp_path / "recipe.yaml", little, **keys)
    assert main(["train", str(recipe), "resume=true"]) == 0
    assert capsys.readouterr().out.endswith("last.safetensors: 2 iterations, not validated\n")


def test_a_signal_to_all_processes_still_saves(little: Path, tmp_path: Path) -> None:
    """As torchrun, systemd and schedulers send it: to the data workers too."""
    keys = {"data__workers": 2, "optimisation__iterations": 5000, "checkpoint__every": 5000}
    recipe = little_recipe(tmp_path / "recipe.yaml", little, **keys)
    with subprocess.Popen(
        [*COMMAND, str(recipe)], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        assert any(line.startswith("iteration 1 of 5000") for line in process.stderr)
        os.killpg(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert re.search(r"stopped after iteration \d+; resume=true continues\n", errors)
    assert (tmp_path / "run" / "last.state.pt").exists()


@pytest.mark.parametrize("content", [b"", b"no state", None])
def test_a_damaged_state_is_one_line(little: Path, tmp_path: Path, content: bytes | None) -> None:
    config = little_config(tmp_path, little, resume=True, optimisation__iterations=2)
    path = tmp_path / "run" / "last.state.pt"
    path.parent.mkdir()
    if content is None:
        torch.save({"progress": 3}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match="no state of a training run") as caught:
        run_training(config)
    assert str(path) in str(caught.value)
