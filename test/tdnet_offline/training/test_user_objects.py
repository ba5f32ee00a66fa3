"""Callbacks, loggers and losses of the user, named by class path in a recipe."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from support import training_parts
from support.training import SINGLE, little_config, little_recipe, logged
from torch import nn

from tdnet.errors import InputError
from tdnet_offline.command import main
from tdnet_offline.training.configuration import ClassPath
from tdnet_offline.training.module import TrainingError
from tdnet_offline.training.recipe import load_recipe, recipe_text
from tdnet_offline.training.runner import run_training
from tdnet_offline.training.user_objects import create_object, import_from_working_directory

PARTS = "support.training_parts"


def part(name: str, /, **init_args: object) -> dict[str, object]:
    return {"class_path": f"{PARTS}.{name}", "init_args": init_args}


def test_a_callback_is_called_and_continues_after_a_resumption(
    little: Path, tmp_path: Path
) -> None:
    training_parts.STEPS.clear()
    keys = {**SINGLE, "callbacks": [part("Recorder", name="mine")]}
    run_training(little_config(tmp_path, little, optimisation__iterations=2, **keys))
    assert training_parts.STEPS == [1, 2]
    run_training(little_config(tmp_path, little, resume=True, **keys))
    assert training_parts.STEPS == [1, 2, 3, 4]
    state = torch.load(tmp_path / "run" / "last.state.pt", weights_only=True)
    assert list(state["callbacks"].values()) == [{"seen": 4}]
    recipe = load_recipe(str(tmp_path / "run" / "recipe.yaml"))
    assert recipe.callbacks == (ClassPath(f"{PARTS}.Recorder", {"name": "mine"}),)


def test_a_state_that_cannot_be_read_back_is_refused(little: Path, tmp_path: Path) -> None:
    config = little_config(tmp_path, little, callbacks=[f"{PARTS}.Unstorable"], **SINGLE)
    with pytest.raises(TrainingError, match="state of callback Unstorable cannot be stored"):
        run_training(config)


def test_early_stopping_ends_a_run_and_keeps_its_checkpoint(
    little: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stopping = {
        "class_path": "lightning.pytorch.callbacks.EarlyStopping",
        # Never better by this much: stops at the second validation.
        "init_args": {"monitor": "validation/mean_iou", "mode": "max", "patience": 1}
        | {"min_delta": 1.0},
    }
    keys = {**SINGLE, "optimisation__iterations": 50, "validation__every": 2}
    recipe = little_recipe(tmp_path / "recipe.yaml", little, callbacks=[stopping], **keys)
    assert main(["train", str(recipe)]) == 0
    captured = capsys.readouterr()
    assert "stopped after iteration 4; a callback stopped it" in captured.err
    assert "last.safetensors: 4 iterations, mean IoU 0." in captured.out
    assert set(logged(tmp_path / "run", "validation/mean_iou")) == {2, 4}
    # The counts of the callback are restored, too: it stops at the next validation.
    assert main(["train", str(recipe), "resume=true"]) == 0
    assert "last.safetensors: 6 iterations" in capsys.readouterr().out


def test_loggers_are_added_or_replaced(little: Path, tmp_path: Path) -> None:
    csv_logger = "lightning.pytorch.loggers.CSVLogger"
    keys = {**SINGLE, "loggers": [csv_logger, part("LineLogger")], "log_every": 2}
    folder = run_training(little_config(tmp_path, little, **keys)).folder
    assert not (folder / "tensorboard").exists()
    (path,) = folder.rglob("metrics.csv")
    rows = list(csv.DictReader(path.open()))
    assert [int(row["step"]) for row in rows if row["loss/total"]] == [2, 4]
    (last,) = (row for row in rows if row["validation/mean_iou"])
    assert int(last["step"]) == 4
    assert 0 <= float(last["validation/iou/road"]) <= 1
    lines = (folder / "lines.txt").read_text().splitlines()
    assert lines[0] == "variant psp18-nano"
    assert lines[1].startswith("2 iterations_per_second learning_rate loss/auxiliary")
    assert lines[-1].startswith("4 validation/iou/")


def test_no_logger_at_all(little: Path, tmp_path: Path) -> None:
    run_training(little_config(tmp_path, little, loggers=[], **SINGLE))
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_a_loss_of_the_user_is_minimised(little: Path, tmp_path: Path) -> None:
    losses = []
    for factor in (1.0, 2.0):
        keys = {**SINGLE, "optimisation__iterations": 1, "output": str(tmp_path / str(factor))}
        loss = part("SumLoss", factor=factor)
        summary = run_training(little_config(tmp_path, little, loss__cross_entropy=loss, **keys))
        losses.append(logged(summary.folder)[1])
    assert losses[1] == pytest.approx(2 * losses[0], rel=1e-6)


def test_a_module_in_the_working_directory_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from torch import nn\nclass Mine(nn.Module):\n    pass\n"
    (tmp_path / "module_of_a_user.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))  # restores the path afterwards
    import_from_working_directory()
    found = create_object(ClassPath("module_of_a_user.Mine"), nn.Module, "loss.cross_entropy")
    assert type(found).__name__ == "Mine"


def test_a_class_without_a_signature_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_parts.SumLoss, "__signature__", "none", raising=False)
    with pytest.raises(InputError, match=rf"loss\.cross_entropy: {PARTS}\.SumLoss: unexpected"):
        create_object(ClassPath(f"{PARTS}.SumLoss"), nn.Module, "loss.cross_entropy")


def test_class_paths_are_written_and_read_again(tmp_path: Path) -> None:
    words = [
        "callbacks=[a.B, {class_path: c.D, init_args: {x: [1, {y: 2}]}}]",
        "loggers=[e.F, tensorboard]",
        "loss.cross_entropy=g.H",
    ]
    recipe = load_recipe("psp18-cityscapes", words)
    assert recipe.callbacks == (ClassPath("a.B"), ClassPath("c.D", {"x": [1, {"y": 2}]}))
    assert recipe.loggers == (ClassPath("e.F"), "tensorboard")
    assert recipe.loss.cross_entropy == ClassPath("g.H")
    path = tmp_path / "written.yaml"
    path.write_text(recipe_text(recipe), encoding="utf-8")
    assert load_recipe(str(path)) == recipe


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("callbacks=[nowhere_at_all.B]", "callbacks[0]: nowhere_at_all.B cannot be imported"),
        (f"callbacks=[{PARTS}.Recordr]", "no subclass of lightning.pytorch.callbacks.callback."),
        (f"callbacks=[{PARTS}.Recordr]", "did you mean Recorder?"),
        ("callbacks=[os.system]", "'os.system' is no subclass"),
        (
            f"callbacks=[{{class_path: {PARTS}.Recorder, init_args: {{nam: x}}}}]",
            "unexpected keyword argument 'nam'; did you mean name?",
        ),
        (
            "callbacks=[lightning.pytorch.callbacks.EarlyStopping]",
            "callbacks[0]: init_args of lightning.pytorch.callbacks.EarlyStopping: missing",
        ),
        (
            "callbacks=[{class_path: lightning.pytorch.callbacks.EarlyStopping, init_args: "
            "{monitor: x, mode: up}}]",
            "EarlyStopping: `mode` can be ",
        ),
        (
            "loggers=[tensorbord]",
            "or a mapping with class_path, init_args; did you mean tensorboard?",
        ),
        ("loggers=[lightning.pytorch.loggers.CsvLogger]", "did you mean CSVLogger?"),
        ("loss.cross_entropy=torch.nn.functional.relu", "is no subclass of torch.nn.modules"),
        (
            "loss.cross_entropy=dice",
            "allowed ohem, balanced, or a mapping with class_path, init_args",
        ),
        (
            "callbacks=[{class_path: a.B, init_arg: 1}]",
            "callbacks[0]: got a mapping; allowed text, or a mapping with class_path, init_args",
        ),
    ],
)
def test_a_mistake_is_one_line(
    little: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], word: str, message: str
) -> None:
    recipe = little_recipe(tmp_path / "recipe.yaml", little, **SINGLE)
    assert main(["train", str(recipe), word]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("tdnet: ") == 1
    assert "Traceback" not in captured.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("package", ["wandb", "mlflow"])
def test_a_logger_without_its_package_names_it(little: Path, tmp_path: Path, package: str) -> None:
    name = {"wandb": "WandbLogger", "mlflow": "MLFlowLogger"}[package]
    try:
        __import__(package)
    except ModuleNotFoundError:
        config = little_config(
            tmp_path, little, loggers=[f"lightning.pytorch.loggers.{name}"], **SINGLE
        )
        with pytest.raises(InputError, match=package):
            run_training(config)
    else:
        pytest.skip(f"{package} is installed")
