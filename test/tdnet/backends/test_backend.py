"""Every backend keeps the contract of `Backend`: the logits and the memory of the network."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from support.nano import nano_weights
from torch import Tensor

from tdnet import ClassMap, OutputOptions, SegmenterSettings
from tdnet.backends import RUNTIMES
from tdnet.backends.backend import Backend
from tdnet.backends.cuda.recorded_backend import RecordedBackend
from tdnet.backends.selection import open_backend
from tdnet.backends.torch_backend import create_backend
from tdnet.errors import InputError
from tdnet.network import SegmentationNetwork

SIZE = (65, 129)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> SegmentationNetwork:
    network, _ = SegmenterSettings(weights=nano_weights(), input_size=SIZE).load_model()
    return network.requires_grad_(False)


@pytest.fixture(scope="module", params=["torch", "recorded", "onnxruntime"])
def backend(request: pytest.FixtureRequest, network: SegmentationNetwork) -> Backend:
    if request.param == "torch":
        return create_backend(network, "cpu", "float32")
    if request.param == "recorded":
        folded = copy.deepcopy(network)
        folded.fold()
        return RecordedBackend(folded, CPU, torch.float32, lambda work: work)
    folder = request.getfixturevalue("exported_nano")
    settings = SegmenterSettings(weights=str(folder), device="cpu", precision="float32")
    return open_backend(settings.request())[0]


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def frames(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    view = torch.randn(1, 3, SIZE[0], SIZE[1] + 8 * count, generator=generator)
    return [view[..., 8 * t : 8 * t + SIZE[1]].contiguous() for t in range(count)]


def test_a_stream_has_the_logits_of_the_network(
    backend: Backend, network: SegmentationNetwork
) -> None:
    ours, theirs = backend.new_memory(), network.new_memory()
    assert ours.nbytes == theirs.nbytes
    for t, frame in enumerate(frames(9)):
        if t == 6:  # two frames of a new view follow a full memory
            ours.reset()
            theirs.reset()
        assert (ours.path, ours.frames) == (theirs.path, theirs.frames)
        expected = network.step(frame, theirs)
        difference = (backend.step(frame, ours) - expected).abs().max()
        assert float(difference) < 1e-4 * float(expected.abs().max())


def test_commits_may_be_left_out_or_repeated(backend: Backend) -> None:
    plain, committed = backend.new_memory(), backend.new_memory()
    for t, frame in enumerate(frames(8)):
        expected = backend.step(frame, plain).clone()
        torch.testing.assert_close(backend.step(frame, committed), expected, rtol=0, atol=0)
        for _ in range(t % 3):
            backend.commit_memory(committed)
        assert committed.frames == plain.frames


def test_a_refused_frame_leaves_the_memory(backend: Backend) -> None:
    memory = backend.new_memory()
    backend.step(frames(1)[0], memory)
    with pytest.raises(InputError, match="resize the frame"):
        backend.step(torch.zeros(1, 3, 65, 65), memory)
    assert (memory.path, memory.frames) == (1, 1)


def test_facts_are_those_of_the_network(backend: Backend, network: SegmentationNetwork) -> None:
    assert (backend.variant, backend.input_size) == (network.variant, network.input_size)
    assert (backend.num_classes, backend.device) == (network.num_classes, CPU)
    assert (backend.precision, backend.is_asynchronous) == ("float32", False)
    assert backend.runtime in RUNTIMES


def test_streams_have_frame_io_of_their_own(backend: Backend) -> None:
    new_frame_io = backend.frame_io_factory(ClassMap.load("cityscapes"))
    first, second = new_frame_io(), new_frame_io()
    small, large = torch.zeros(40, 60, 3).byte().numpy(), torch.zeros(80, 90, 3).byte().numpy()
    logits = torch.zeros(1, backend.num_classes, 9, 17)
    for io, image in ((first, small), (second, large)):
        assert io.preprocess(image).shape == (1, 3, *SIZE)
    for io, image in ((first, small), (second, large)):
        images = io.postprocess(logits, image.shape[:2], OutputOptions(), lambda: None)()
        assert images.labels.shape == image.shape[:2]
