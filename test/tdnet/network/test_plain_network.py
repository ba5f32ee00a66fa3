"""Our networks give the labels of an independent implementation of the specification.

The reference itself is compared with the vectors of the published code.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import save_file
from support.media import drive
from support.plain_network import PlainNetwork, PlainStream
from support.reference_fill import REFERENCE, fill, official_state
from torch.nn import functional

from tdnet import StreamingSegmenter, create_model, get_variant, load_weights
from tdnet.checkpoints.official_layout import is_unused, official_names
from tdnet.network import SegmentationNetwork
from tdnet.variants import FANET_HEAD, HeadStyle, ResNetBackbone, Variant, feature_size

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
    replace(NANO, name="td2 with bottlenecks", backbone=ResNetBackbone(50, width=8), paths=2),
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
MEAN, STD = np.float32((0.485, 0.456, 0.406)), np.float32((0.229, 0.224, 0.225))


def normalised(image: npt.NDArray[np.uint8]) -> torch.Tensor:
    """(H, W, 3) uint8 RGB as (1, 3, H, W)."""
    values = (image.astype(np.float32) / np.float32(255) - MEAN) / STD
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)[None]))


def filled(variant: Variant, folder: Path) -> SegmentationNetwork:
    """Our network, filled by the rule of the specification."""
    model = create_model(variant, input_size=SIZE)
    state = model.state_dict()
    names = official_names(variant, state) or {name: name for name in state}
    shapes = {names[name]: item.shape for name, item in state.items()}
    save_file(fill(shapes), folder / "filled.safetensors")
    load_weights(model, folder / "filled.safetensors")
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
    """An official state dict loads under its own names."""
    vectors = np.load(REFERENCE / "{}.{}x{}.npz".format(name, *size))
    network = PlainNetwork(get_variant(name), 19, size)
    state = official_state(name, feature_size(size))
    network.load_state_dict({key: state[key] for key in state if not is_unused(key)})
    plain = PlainStream(network)
    first = len(vectors["frames"]) - len(vectors["logits"])  # those before only fill the memory
    logits = [plain.step(normalised(frame))[0].numpy() for frame in vectors["frames"]]
    for mine, expected in zip(logits[first:], vectors["logits"], strict=True):
        assert np.abs(mine - expected).max() <= tolerance * vectors["logits_peak"]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_labels_equal_those_of_our_network(variant: Variant, tmp_path: Path) -> None:
    """Two rounds of all paths: with an empty, a growing and a full memory."""
    model = filled(variant, tmp_path)
    ours = StreamingSegmenter(model, device="cpu", precision="float32")
    network = PlainNetwork(variant, model.num_classes, SIZE)
    network.load(model.state_dict())
    plain = PlainStream(network)
    for image in drive(2 * variant.paths, *SIZE):
        logits = plain.step(normalised(image))
        wide = functional.interpolate(logits, SIZE, mode="bilinear", align_corners=True)
        labels = wide[0].argmax(0).numpy()
        assert (ours.step(image).labels == labels).mean() > 0.999
        assert len(np.unique(labels)) > 3
