"""Networks of every family learn by their recipes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.training import CLASS_MAP

from tdnet import ClassMap, create_model, save_weights
from tdnet.errors import InputError, WeightsError
from tdnet_offline.training.configuration import TrainingRecipe
from tdnet_offline.training.learner import prepare_learner
from tdnet_offline.training.losses import Objective
from tdnet_offline.training.recipe import load_recipe
from tdnet_offline.training.runner import training_precision

SIZE = (33, 65)
MAP = ClassMap.from_yaml(CLASS_MAP, "test")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    torch.manual_seed(1)
    save_weights(create_model("psp18-nano", 3, SIZE), path, class_map=MAP)
    return path


def recipe(name: str, *words: str) -> TrainingRecipe:
    """A packaged recipe for small frames, without the files of a whole training."""
    small = ["network.input_size=[33, 65]", "init.single=", "init.backbone="]
    return load_recipe(name, [*small, *words])


@pytest.mark.parametrize(
    "name", ["td2-fa18-cityscapes", "td4-bise18-cityscapes", "fa18-cityscapes"]
)
def test_an_iteration_gives_every_term_its_gradient(name: str, teacher: Path) -> None:
    config = recipe(name, f"loss.teacher={teacher}")
    learner = prepare_learner(config, MAP)
    learner.network.train()
    variant = learner.network.variant
    generator = torch.Generator().manual_seed(2)
    frames = torch.randn(2, variant.clip_frames, 3, *SIZE, generator=generator)
    labels = torch.randint(3, (2, *SIZE), generator=generator)
    objective = Objective(config.loss, learner.teacher, None)
    terms, _ = objective(learner.network, learner.auxiliary, frames, labels, 1)
    terms.total.backward()
    assert bool(torch.isfinite(terms.total))
    assert (terms.auxiliary > 0) == (learner.auxiliary is not None) == (name[:3] == "td4")
    assert (terms.distillation > 0) == (terms.sub > 0) == (variant.paths > 1)
    turn = "paths.1." if variant.paths > 1 else ""
    without = [
        key
        for key, item in learner.network.named_parameters()
        if key.startswith(turn) and item.grad is None
    ]
    # A path's own query asks only; its key is asked by other paths.
    assert all(key.startswith("paths.1.encoding.key.") for key in without)


def test_auxiliary_heads_of_a_network_without_are_refused() -> None:
    with pytest.raises(InputError, match=r"fa18 is trained without .*: set loss.auxiliary=0"):
        prepare_learner(recipe("fa18-cityscapes", "loss.auxiliary=0.4"), MAP)


def test_a_teacher_of_another_family_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fa18.safetensors"
    save_weights(create_model("fa18", 3, SIZE), path, class_map=MAP)
    with pytest.raises(WeightsError, match=r"fa18.safetensors holds fa18; .*weights of psp101"):
        prepare_learner(recipe("td2-fa18-cityscapes", f"loss.teacher={path}"), MAP)


def test_float16_is_refused_where_sums_leave_its_range() -> None:
    cuda = torch.device("cuda")
    assert training_precision(recipe("psp18-cityscapes", "precision=float16"), cuda) == "float16"
    with pytest.raises(InputError, match="FANet's ResNet-18 of width 64 can leave its range"):
        training_precision(recipe("fa18-cityscapes", "precision=float16"), cuda)


@pytest.mark.parametrize("name", ["td2-fa18-cityscapes", "td4-bise18-cityscapes"])
def test_paths_can_share_their_weights(name: str) -> None:
    config = recipe(name, "network.shared_paths=true", "loss.distillation=none")
    network = prepare_learner(config, MAP).network.eval()
    frame = torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(3))
    first, *others = network.paths  # type: ignore[union-attr, misc]
    for path in others:
        assert torch.equal(path.features(frame), first.features(frame))
