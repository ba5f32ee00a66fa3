"""Weights trained with an attention reach load only with that reach, which no shape shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tdnet import create_model, load_weights, save_weights
from tdnet.errors import InputError, WeightsError
from tdnet.variants import get_variant
from tdnet_offline.training.configuration import NetworkConfig
from tdnet_offline.training.learner import chosen_variant

NANO = get_variant("td4-psp18-nano")
SIZE = (33, 65)


def test_weights_keep_their_reach(tmp_path: Path) -> None:
    model = create_model(NANO, 3, SIZE)
    save_weights(model, tmp_path / "a.safetensors")
    other = create_model(NANO, 3, SIZE)
    info = load_weights(other, tmp_path / "a.safetensors")
    assert info.metadata is not None
    assert info.metadata["attention_reach"] == f"{NANO.attention_reach:g}"
    state = model.state_dict()
    assert all(torch.equal(state[name], item) for name, item in other.state_dict().items())


@pytest.mark.parametrize(
    ("trained", "model"), [(0.0, 2.0), (2.0, 0.0), (2.0, 3.5)], ids=["none", "some", "another"]
)
def test_another_reach_is_refused(trained: float, model: float, tmp_path: Path) -> None:
    save_weights(
        create_model(replace(NANO, attention_reach=trained), 3, SIZE), tmp_path / "a.safetensors"
    )
    target = create_model(replace(NANO, attention_reach=model), 3, SIZE)
    expected = f"attention_reach {trained:g}, the model has {model:g}: train with"
    with pytest.raises(WeightsError, match=expected):
        load_weights(target, tmp_path / "a.safetensors")


def test_published_variants_say_nothing_of_it(tmp_path: Path) -> None:
    small = replace(get_variant("td2-fa18"), value_channels=8)
    save_weights(create_model(small, 3, (65, 129)), tmp_path / "a.safetensors")
    info = load_weights(create_model(small, 3, (65, 129)), tmp_path / "a.safetensors")
    assert info.metadata is not None
    assert "attention_reach" not in info.metadata


def test_a_recipe_sets_it_only_where_the_variant_has_one() -> None:
    chosen = chosen_variant(NetworkConfig(variant=NANO.name, attention_reach=0.0))
    assert chosen.attention_reach == 0
    for name in ("td4-psp18", "psp18-nano"):
        with pytest.raises(InputError, match=f"{name} attends by content only.*td4-psp18-nano"):
            chosen_variant(NetworkConfig(variant=name, attention_reach=2.0))
