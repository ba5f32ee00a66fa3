"""The parts of a published teacher are joined to a single-frame network."""

from __future__ import annotations

import json

import pytest
import torch
from support.reference_fill import REFERENCE

from tdnet.checkpoints.official_layout import undivided

State = dict[str, torch.Tensor]


def published(name: str) -> State:
    entries = json.loads((REFERENCE / f"{name}.keys.json").read_text())
    return {key: torch.empty(shape, device="meta") for key, shape in entries}


@pytest.mark.parametrize("groups", [2, 4])
def test_put_together_it_has_the_entries_of_psp101(groups: int) -> None:
    joined = undivided(published(f"teacher-psp101-{groups}groups"))
    whole = published("psp101")
    assert {name: item.shape for name, item in joined.items()} == {
        name: item.shape for name, item in whole.items()
    }


@pytest.mark.parametrize("name", ["psp101", "td4-psp18.training"])
def test_other_checkpoints_stay_as_they_are(name: str) -> None:
    tensors = published(name)
    assert undivided(tensors) is tensors


@pytest.mark.parametrize(
    "change",
    [
        {"psp2.conv1.1.bias": None},
        {"group2.conv5.0.weight": torch.zeros(3)},
        {"group1.conv5.0.weight": torch.zeros(3)},
        {"psp1.conv4.0.weight": torch.zeros(())},
    ],
    ids=["missing", "flat slice", "flat first slice", "scalar"],
)
def test_damaged_teachers_stay_as_they_are(change: State) -> None:
    tensors = {**published("teacher-psp101-2groups"), **change}
    tensors = {name: item for name, item in tensors.items() if item is not None}
    assert undivided(tensors) is tensors
