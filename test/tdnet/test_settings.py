"""The settings of a segmenter: values of the weights file, and choices of the user."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tdnet import ClassMap, SegmenterSettings, create_model, describe_weights, save_weights
from tdnet.errors import TdnetError, UnknownNameError, WeightsError
from tdnet.network import SegmentationNetwork
from tdnet.variants import DEFAULT_VARIANT

SIZE = (65, 129)


def small_model(num_classes: int = 19) -> SegmentationNetwork:
    return create_model("td4-psp18-nano", num_classes, SIZE)


class OpenedFiles:
    """Paths that this process opens while the block runs."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self._active = False
        sys.addaudithook(self._hook)  # cannot be removed

    def __enter__(self) -> list[str]:
        self._active = True
        return self.paths

    def __exit__(self, *_: object) -> None:
        self._active = False

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if self._active and event == "open":
            self.paths.append(str(arguments[0]))


def test_a_weights_file_is_opened_once(tmp_path: Path) -> None:
    ours, official = tmp_path / "a.safetensors", tmp_path / "a.pth"
    single = create_model("psp18-nano", 19, SIZE)
    save_weights(single, ours, class_map=ClassMap.load("cityscapes"))
    torch.save(small_model().state_dict(), official)
    for path, read in (
        (ours, SegmenterSettings(weights=str(ours), device="cpu").build),
        (ours, lambda: describe_weights(ours)),
        (official, lambda: describe_weights(official)),
    ):
        with OpenedFiles() as opened:
            read()
        assert opened.count(str(path)) == 1


def test_size_and_classes_come_from_the_weights(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_weights(small_model(num_classes=11), path, class_map=ClassMap.load("camvid"))
    segmenter = SegmenterSettings(weights=str(path), device="cpu", runtime="torch").build()
    assert segmenter.input_size == SIZE
    assert segmenter.class_map == ClassMap.load("camvid")


@pytest.mark.parametrize("has_header", [True, False])
def test_the_variant_is_that_of_the_weights(has_header: bool, tmp_path: Path) -> None:
    path, model = tmp_path / "a.safetensors", create_model("psp18-nano", 19, SIZE)
    if has_header:
        save_weights(model, path)
    else:
        save_file(model.state_dict(), path)
    given = {"weights": str(path), "device": "cpu", "runtime": "torch", "input_size": SIZE}
    assert SegmenterSettings(**given).build().variant.name == "psp18-nano"  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match="fits variant 'psp18-nano': choose that variant"):
        SegmenterSettings("td4-psp18-nano", **given).build()  # type: ignore[arg-type]


def test_without_weights_the_variant_is_the_packaged_one() -> None:
    settings = SegmenterSettings(device="cpu", runtime="torch")
    assert settings.uses_packaged_weights
    assert settings.build().variant.name == DEFAULT_VARIANT


def test_given_choices_win(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_weights(small_model(num_classes=11), path, class_map=ClassMap.load("camvid"))
    chosen = ClassMap.numbered(11)
    (tmp_path / "own.yaml").write_text(chosen.to_yaml())
    segmenter = SegmenterSettings(
        weights=str(path),
        class_map=str(tmp_path / "own.yaml"),
        input_size=(97, 97),
        device="cpu",
        runtime="torch",
    ).build()
    assert segmenter.input_size == (97, 97)
    assert segmenter.class_map == chosen


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"variant": "td5"}, "unknown variant 'td5'"),
        ({"variant": "td2-psp50"}, "none are packaged for td2-psp50"),
        ({"weights": "no/such.pth"}, "no/such.pth: does not exist"),
        ({"device": "cuda:77"}, "cuda:77"),
        ({"precision": "half"}, "unknown precision 'half'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_errors_are_ours(choice: dict, message: str) -> None:
    with pytest.raises(TdnetError, match=message):
        SegmenterSettings(**choice).build()


def test_unknown_names_are_value_errors() -> None:
    with pytest.raises(ValueError, match="valid: "):
        SegmenterSettings(variant="x").build()
    assert issubclass(UnknownNameError, TdnetError)


def test_another_class_map_names_those_that_fit(tmp_path: Path) -> None:
    path = tmp_path / "streets.safetensors"
    save_weights(small_model(), path)
    with pytest.raises(WeightsError) as caught:
        SegmenterSettings(weights=str(path), class_map="camvid", device="cpu").build()
    message = str(caught.value)
    assert "has 19 classes, the model 11, as its class map" in message
    assert (
        "19 network classes (camvid-from-cityscapes, cityscapes, cityscapes-label-ids)" in message
    )
    assert "classifier" not in message  # no names of tensors
