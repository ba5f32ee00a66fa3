"""The plain formulation gives the numbers of the published code, and those of our network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.media import drive
from support.reference_fill import REFERENCE, fill, official_state

from tdnet import ClassMap, StreamingSegmenter, create_model, get_variant, load_weights
from tdnet.checkpoints.official_layout import is_unused, official_names
from tdnet.errors import InputError
from tdnet.network import SegmentationNetwork
from tdnet.variants import FANET_HEAD, Backbone, HeadStyle, Variant, feature_size
from tdnet_offline.benchmark.plain_network import PlainNetwork
from tdnet_offline.benchmark.plain_segmenter import PlainSegmenter

SIZE = (33, 65)
NANO = get_variant("td4-psp18-nano")


def narrow(name: str) -> Variant:
    """A variant with few channels."""
    variant = get_variant(name)
    backbone = replace(variant.backbone, width=16)
    return replace(variant, backbone=backbone, value_channels=64, head_channels=32)


VARIANTS = [
    NANO,
    replace(NANO, name="td4 of two frames", memory_frames=2),
    replace(NANO, name="td4 of one frame", memory_frames=0),
    replace(NANO, name="td2 with bottlenecks", backbone=Backbone(50, width=8), paths=2),
    get_variant("psp18-nano"),
    narrow("td4-psp34"),
    narrow("td2-fa18"),
    narrow("fa18"),
    narrow("td4-bise18"),
    narrow("bise18"),
    replace(narrow("td2-fa18"), name="fanet with psp's head", head=HeadStyle()),
    replace(NANO, name="psp with fanet's head", head=FANET_HEAD),
    replace(get_variant("psp18-nano"), name="psp without bias", head=HeadStyle(bias=False)),
    replace(narrow("bise18"), name="bisenet with fanet's head", head=FANET_HEAD),
]
CPU = torch.device("cpu")


def plain_segmenter(model: SegmentationNetwork) -> PlainSegmenter:
    network = PlainNetwork(model.variant, model.num_classes, model.input_size)
    network.load(model.state_dict())
    return PlainSegmenter(network, ClassMap.numbered(19), model.input_size, CPU)


def filled(variant: Variant, folder: Path) -> SegmentationNetwork:
    """Our network with the specification's rule for its parameters."""
    model = create_model(variant, input_size=SIZE)
    state = model.state_dict()
    names = official_names(variant, state) or {name: name for name in state}
    shapes = {names[name]: item.shape for name, item in state.items()}
    torch.save(fill(shapes), folder / "filled.pth")
    load_weights(model, folder / "filled.pth")
    return model


@pytest.mark.parametrize(
    ("name", "size", "tolerance"),
    [
        ("td4-psp18", (97, 193), 5e-5),
        ("td2-psp50", (97, 193), 5e-5),
        ("td2-fa18", (96, 192), 3e-4),
    ],
)
def test_reproduces_the_vectors_of_the_published_code(
    name: str, size: tuple[int, int], tolerance: float
) -> None:
    """An official state dict loads by its own names, so nothing of ours is in between."""
    vectors = np.load(REFERENCE / "{}.{}x{}.npz".format(name, *size))
    network = PlainNetwork(get_variant(name), 19, size)
    state = official_state(name, feature_size(size))
    network.load_state_dict({key: state[key] for key in state if not is_unused(key)})
    plain = PlainSegmenter(network, ClassMap.numbered(19), size, CPU)
    first = len(vectors["frames"]) - len(vectors["logits"])  # those before only fill the memory
    logits = [
        plain.segment(torch.from_numpy(plain.preprocess(frame)))[0].numpy()
        for frame in vectors["frames"]
    ]
    for mine, expected in zip(logits[first:], vectors["logits"], strict=True):
        assert np.abs(mine - expected).max() <= tolerance * vectors["logits_peak"]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_labels_equal_those_of_our_network(variant: Variant, tmp_path: Path) -> None:
    """Frames with an empty, a growing and a full memory, which two rounds of the paths meet."""
    model = filled(variant, tmp_path)
    ours = StreamingSegmenter(model, device="cpu", precision="float32")
    plain = plain_segmenter(model)
    for image in drive(2 * variant.paths, *SIZE):  # at the network's size neither resizes it
        labels = plain.step(image)
        assert (ours.step(image).labels == labels).mean() > 0.999
        assert len(np.unique(labels)) > 3


def test_labels_come_at_the_size_of_the_camera_and_stages_are_timed() -> None:
    plain = plain_segmenter(create_model("psp18-nano", input_size=SIZE))
    labels = plain.step(drive(1, 48, 80)[0])
    assert labels.shape == (48, 80)
    assert labels.dtype == np.uint8
    assert list(plain.stages_ms) == ["preprocess", "network", "postprocess"]
    assert min(plain.stages_ms.values()) > 0


class NewBackbone(Backbone):
    """Of a family that nobody has put plainly."""

    family = "new ResNet"


def test_a_family_without_a_plain_formulation_is_refused() -> None:
    variant = replace(NANO, name="mine", backbone=NewBackbone(18, width=16))
    with pytest.raises(InputError, match="no plain formulation of mine .*is new ResNet-18"):
        PlainNetwork(variant, 3, SIZE)
