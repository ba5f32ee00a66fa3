"""The commands and code of docs/training.md run, and its table is the configuration."""

from __future__ import annotations

import dataclasses
import inspect
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightning.pytorch import loggers
from support.media import drive as street_drive

from tdnet._util.resources import config_dir
from tdnet_offline.command import main
from tdnet_offline.training.configuration import ClassPath, TrainingRecipe
from tdnet_offline.training.recipe import load_recipe, recipe_names

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line) for line in re.findall(r"^    (\S.*)$", PAGE, re.MULTILINE)]
TRAININGS = [words for words in COMMANDS if "train" in words]
# What makes a run of the page so small that a test can do it.
SMALL = [
    "network.input_size=[33, 65]",
    "data.train=street:0-1@40x72,frames=5",
    "data.validation=street:7@40x72,frames=5",
    "data.frame_size=[33, 65]",
    "data.workers=0",
    "optimisation.iterations=1",
    "optimisation.batch_size=2",
    "validation.clips=2",
]


def recipe_values(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the default of every key, with its section: ``optimisation.iterations``."""
    found = {}
    for name, value in values.items():
        key = prefix + name
        found.update(recipe_values(value, f"{key}.") if isinstance(value, dict) else {key: value})
    return found


def test_the_table_has_every_key_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.*?) ?\|", PAGE.split("| key |")[1], re.MULTILINE))
    defaults = recipe_values(dataclasses.asdict(TrainingRecipe()))
    assert {"seed", "optimisation.iterations", "loss.teacher"} < set(defaults)
    assert set(list(rows)[: len(defaults)]) == set(defaults)
    for name, default in defaults.items():
        shown = list(default) if isinstance(default, tuple) else default
        said = "" if shown in ("", None) else str(shown).replace("'", "")
        assert rows[name] == (said.lower() if isinstance(shown, bool) else said), name


def test_recipes_that_it_names_exist_and_all_published_ones_are_named() -> None:
    named = set(re.findall(r"`([\w-]+-(?:cityscapes|street))`", PAGE))
    named |= {words[words.index("train") + 1] for words in TRAININGS}
    assert named <= set(recipe_names())
    for name in recipe_names():
        family = name.replace("-camvid", "-cityscapes").replace("-nyudv2", "-cityscapes")
        assert family in named or "street" in name or name == "fine-tune"


@pytest.mark.parametrize("words", TRAININGS, ids=" ".join)
def test_training_commands_are_understood(words: list[str]) -> None:
    begin = words.index("train") + 1
    config = load_recipe(words[begin], words[begin + 1 :])
    assert config.network.variant in words[begin]


def write_recipe_of_the_page(number: int, folder: Path) -> Path:
    """Write a YAML block of the page beside the recipe that it starts from."""
    shutil.copytree(config_dir() / "train", folder, dirs_exist_ok=True)
    text = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[number]
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_yaml_is_a_recipe(tmp_path: Path) -> None:
    config = load_recipe(str(write_recipe_of_the_page(0, tmp_path)))
    assert config.network.input_size == (513, 1025)
    assert config.optimisation.iterations == 20_000
    assert config.loss.distillation == "grouped"


def test_the_first_run_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    street = [words for words in TRAININGS if "-street" in words[-1]]
    assert len(street) == 2
    for words in street:
        assert main([*words[1:], *SMALL]) == 0
    (described,) = (words for words in COMMANDS if words[:2] == ["tdnet", "info"])
    assert main(described[1:]) == 0
    assert "td4-psp18-nano" in capsys.readouterr().out
    assert main([*street[-1][1:], *SMALL, "resume=true", "optimisation.iterations=2"]) == 0
    left = {path.name for path in Path("runs/td4-psp18-nano-street").iterdir()}
    section = PAGE.split("## Files of a run")[1].split("\n## ")[0]
    assert left == {name.rstrip("/") for name in re.findall(r"^\| `(.*?)` \|", section, re.M)}


def test_the_python_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    snippet = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[-1]
    small = ", ".join(repr(word) for word in SMALL)
    script = snippet.replace('"optimisation.iterations=1000"', small)
    assert script != snippet
    exec(script, {"__name__": "__main__"})
    best, mean_iou = capsys.readouterr().out.split()
    assert best == "runs/psp18-nano-street/best.safetensors"
    assert 0 <= float(mean_iou) < 1


def test_the_classes_of_the_page_train(tmp_path: Path) -> None:
    """The recipe and the modules of the pages, as a user starts them in their folder."""
    write_recipe_of_the_page(1, tmp_path)
    module = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    (tmp_path / "my_training.py").write_text(module, encoding="utf-8")
    example = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    (module,) = (m for m in re.findall(r"```python\n(.*?)```", example, re.DOTALL))
    (tmp_path / "my_data.py").write_text(module, encoding="utf-8")
    images = np.stack(list(street_drive(4, 40, 72)))
    for split in ("train", "val"):
        (tmp_path / "arrays" / split).mkdir(parents=True)
        labels = images[..., 0] // 64
        np.savez(tmp_path / "arrays" / split / "a.npz", frames=images, labels=labels)
    words = [word for word in SMALL if not word.startswith(("data.train", "data.validation"))]
    words.append("data.validation=my_data.open_arrays:arrays")
    # As the installed script: the working directory is not on Python's path.
    script = "import sys; sys.path.remove(''); from tdnet_offline.command import main; "
    script += f"sys.exit(main(['train', 'mine.yaml', *{words!r}]))"
    answer = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert answer.returncode == 0, answer.stderr
    assert re.search(r"^IoU of road: \d\.\d+$", answer.stdout, re.MULTILINE)
    run = tmp_path / "runs" / "mine"
    assert (run / "tensorboard").is_dir()
    assert "validation/iou/road" in next(run.rglob("metrics.csv")).read_text()
    assert "DiceLoss" in (run / "recipe.yaml").read_text()
    assert "my_data.open_arrays:arrays" in (run / "recipe.yaml").read_text()


@pytest.mark.parametrize("logger", ["WandbLogger", "MLFlowLogger"])
def test_other_loggers_of_the_page_are_understood(logger: str) -> None:
    place = PAGE.index(f"class_path: lightning.pytorch.loggers.{logger}`")
    path, arguments = re.findall(r"`((?:class_path|init_args): [^`]+)`", PAGE[place - 1 :])[:2]
    (given,) = load_recipe("psp18-cityscapes", [f"loggers=[{{{path}, {arguments}}}]"]).loggers
    assert isinstance(given, ClassPath)
    known = inspect.signature(getattr(loggers, logger)).parameters
    assert set(given.init_args) <= set(known)


def test_the_help_shows_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    text = shown[shown.index("  callbacks:") : shown.index("docs/training.md")]
    path = tmp_path / "help.yaml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    recipe = load_recipe(str(path))
    assert len(recipe.callbacks) == len(recipe.loggers) == 2
    assert recipe.loss.cross_entropy == ClassPath("my_training.DiceLoss")


def test_torchrun_starts_the_command() -> None:
    lines = [words for words in COMMANDS if words[0] == "torchrun"]
    assert len(lines) == 2
    for words in lines:
        module = words.index("-m")
        assert words[module + 1 : module + 3] == ["tdnet_offline.command", "train"]
