"""The class map of weights files and exported folders, as the node finds it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from tdnet import ClassMap, create_model, save_weights
from tdnet.backends.onnx import description
from tdnet.class_map.stored import DESCRIPTION_NAME, stored_class_map
from tdnet.errors import WeightsError


def test_it_is_that_of_file_or_folder(tmp_path: Path) -> None:
    camvid = ClassMap.load("camvid")
    model = create_model("td4-psp18-nano", num_classes=11, input_size=(65, 129))
    save_weights(model, tmp_path / "camvid.safetensors", class_map=camvid)
    assert stored_class_map(tmp_path / "camvid.safetensors") == camvid
    save_weights(model, tmp_path / "plain.safetensors")
    assert stored_class_map(tmp_path / "plain.safetensors") is None
    torch.save({"a": torch.zeros(2)}, tmp_path / "published.pkl")
    assert stored_class_map(tmp_path / "published.pkl") is None

    assert DESCRIPTION_NAME == description.DESCRIPTION_NAME
    stored = {"class_map": yaml.safe_load(camvid.to_yaml())}
    (tmp_path / DESCRIPTION_NAME).write_text(json.dumps(stored))
    assert stored_class_map(tmp_path) == camvid


@pytest.mark.parametrize("text", ['{"graphs": []}', "[]", "{"])
def test_a_file_without_one_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / DESCRIPTION_NAME).write_text(text)
    with pytest.raises(WeightsError, match=r"export\.json: no class map can be read"):
        stored_class_map(tmp_path)


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"missing\.safetensors: .*; give a weights file"):
        stored_class_map(tmp_path / "missing.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes((1 << 60).to_bytes(8, "little") + b"{broken")
    with pytest.raises(WeightsError, match=r"damaged\.safetensors: no class map"):
        stored_class_map(damaged)
