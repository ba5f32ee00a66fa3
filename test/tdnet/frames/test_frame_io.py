"""Frame I/O on a CPU uses one thread, and restores the number of threads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from support.frames import drive

from tdnet import ClassMap, OutputOptions
from tdnet.errors import InputError
from tdnet.frames.frame_io import PlainFrameIO
from tdnet.frames.postprocess import Postprocessor
from tdnet.frames.preprocess import Preprocessor

CPU = torch.device("cpu")
CAMERA = (40, 88)
LOGITS = torch.zeros(1, 19, 3, 5)


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def io() -> PlainFrameIO:
    return PlainFrameIO(
        Preprocessor((17, 33), CPU, torch.float32), Postprocessor(ClassMap.load("cityscapes"), CPU)
    )


def test_stages_are_one_threads_work(io: PlainFrameIO) -> None:
    seen: list[int] = []
    (image,) = drive(1, *CAMERA)
    io.preprocess(image)
    assert torch.get_num_threads() == 3
    finish = io.postprocess(
        LOGITS, CAMERA, OutputOptions(), lambda: seen.append(torch.get_num_threads())
    )
    assert torch.get_num_threads() == 3
    assert seen == [1, 1, 1]
    assert finish().labels.shape == CAMERA


def test_what_fails_gives_the_threads_back(io: PlainFrameIO) -> None:
    with pytest.raises(InputError):
        io.preprocess(np.zeros((4, 5), np.uint8))
    assert torch.get_num_threads() == 3

    def fail() -> None:
        raise RuntimeError("no more")

    io.preprocess(drive(1, *CAMERA)[0])
    with pytest.raises(RuntimeError, match="no more"):
        io.postprocess(LOGITS, CAMERA, OutputOptions(), fail)
    assert torch.get_num_threads() == 3
