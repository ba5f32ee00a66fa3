"""A run that is stopped and resumed is the run that was not."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from support.training import changed, little_config, little_recipe, logged

from tdnet.checkpoint_file import read_checkpoint
from tdnet.errors import InputError
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
        assert re.search(r"stopped after iteration \d; resume=true goes on\n", errors)
        assert errors.splitlines()[-1].startswith("tdnet: interrupted")
    stopped = logged(tmp_path / "run")
    run = run_training(changed(load_recipe(str(recipe)), resume=True)).folder

    assert set(stopped) < {2, 4, 6, 8} == set(logged(run))
    for tag in ("loss/total", "loss/full", "loss/auxiliary", "learning_rate"):
        assert logged(run, tag) == logged(whole, tag)
    validated = logged(run, "validation/mean_iou")
    assert validated == logged(whole, "validation/mean_iou")
    assert set(validated) == {3, 6, 8}
    for name in ("last.safetensors", "best.safetensors"):
        ours, theirs = (read_checkpoint(folder / name).tensors for folder in (run, whole))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_finished_run_has_nothing_to_do(little: Path, tmp_path: Path) -> None:
    config = little_config(tmp_path, little, optimisation__iterations=1)
    first = run_training(config)
    before = first.weights.stat().st_mtime_ns
    again = run_training(changed(config, resume=True))
    assert again.progress == first.progress
    assert again.weights.stat().st_mtime_ns == before


def test_a_run_does_not_overwrite_another(little: Path, tmp_path: Path) -> None:
    config = little_config(tmp_path, little, optimisation__iterations=1)
    run_training(config)
    with pytest.raises(InputError, match="holds a run already; go on with resume=true"):
        run_training(config)


def test_another_network_is_refused_and_nothing_lost(little: Path, tmp_path: Path) -> None:
    run_training(little_config(tmp_path, little, optimisation__iterations=1))
    state = (tmp_path / "run" / "last.state.pt").read_bytes()
    with pytest.raises(InputError, match="another network than psp18-nano with 3 classes"):
        run_training(little_config(tmp_path, little, network__variant="psp18-nano", resume=True))
    assert (tmp_path / "run" / "last.state.pt").read_bytes() == state


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
