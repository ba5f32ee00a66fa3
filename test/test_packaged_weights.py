"""The card of the packaged weights: its files, recipes and the result of its short check."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from tdnet import describe_weights, packaged_weights
from tdnet.variants import DEFAULT_VARIANT, get_variant
from tdnet_offline.command import main
from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.evaluation_file import load_evaluation
from tdnet_offline.training.recipe import load_recipe

PAGE = (Path(__file__).parents[1] / "docs" / "packaged-weights.md").read_text(encoding="utf-8")
MAX_BYTES = 10_000_000


@pytest.fixture
def weights() -> Path:
    path = packaged_weights(DEFAULT_VARIANT)
    assert path is not None
    return path


def test_the_card_is_of_these_files(weights: Path) -> None:
    for path in weights.parent.glob("*.safetensors"):
        content = path.read_bytes()
        assert f"`{hashlib.sha256(content).hexdigest()}`" in PAGE, path.name
        assert len(content) <= MAX_BYTES


def test_the_file_comes_from_the_recipe_of_the_card(weights: Path) -> None:
    info = describe_weights(weights)
    assert info.metadata is not None
    assert (info.variant, info.input_size, info.num_classes) == (
        DEFAULT_VARIANT,
        get_variant(DEFAULT_VARIANT).input_size,
        19,
    )
    commands = re.findall(r"^    tdnet train (\S+)$", PAGE, re.MULTILINE)
    last = load_recipe(commands[-1])
    assert last.output in info.metadata["recipe"]
    assert json.loads(info.metadata["metrics"])["iteration"] == last.optimisation.iterations
    rows = dict(re.findall(r"^\| `([\w-]+)` \| [^|]* \| (\d+) \|", PAGE, re.MULTILINE))
    assert list(rows) == commands
    assert {name: int(count) for name, count in rows.items()} == {
        name: load_recipe(name).optimisation.iterations for name in commands
    }
    assert re.fullmatch("[0-9a-f]{40}", info.metadata["git_commit"])


def test_the_short_check_has_the_results_of_the_card(tmp_path: Path) -> None:
    ((command, mean_iou, accuracy),) = re.findall(
        r"`tdnet (evaluate [^`]*)`\D*(\d+\.\d+)\D*(\d+\.\d+)", PAGE
    )
    assert main([*command.split(), "--report", str(tmp_path / "report"), "--worst", "0"]) == 0
    found = load_evaluation(tmp_path / "report" / "evaluation.json")
    confusion = metrics.total_confusion(found)
    assert 100 * metrics.mean_iou(confusion) == pytest.approx(float(mean_iou), abs=0.3)
    assert 100 * metrics.pixel_accuracy(confusion) == pytest.approx(float(accuracy), abs=0.1)
