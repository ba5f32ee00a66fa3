from __future__ import annotations

import itertools

import pytest
import torch

from tdnet.backends.cuda.kernels import OutputBuffers

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("confidence", "overlay", "counts"), itertools.product([False, True], repeat=3)
)
def test_one_copy_brings_all(confidence: bool, overlay: bool, counts: bool) -> None:
    wanted = {"confidence": confidence, "overlay": overlay, "counts": counts}
    source, target = (OutputBuffers.create((5, 7), CPU, **wanted) for _ in range(2))
    source.labels.fill_(1)
    shapes = {"labels": (5, 7)}
    if source.confidence is not None:
        source.confidence.fill_(2)
        shapes["confidence"] = (5, 7)
    if source.overlay is not None:
        source.overlay.fill_(3)
        shapes["overlay"] = (5, 7, 3)
    if source.counts is not None:
        source.counts.fill_(1 << 20)
        shapes["counts"] = (256,)
    target.storage.copy_(source.storage)
    values = {"labels": 1, "confidence": 2, "overlay": 3, "counts": 1 << 20}
    for name, value in values.items():
        image = getattr(target, name)
        assert (image is not None) == (name == "labels" or wanted[name])
        if image is not None:
            assert image.shape == shapes[name]
            assert image.is_contiguous()
            assert (image == value).all()
