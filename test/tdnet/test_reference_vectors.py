"""The networks reproduce the numbers of the published code (specification, "Files")."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.extras import exporting_package
from support.reference_fill import REFERENCE, official_state

from tdnet import SegmenterSettings
from tdnet.checkpoints.weights import load_weights, save_weights
from tdnet.frames.preprocess import Preprocessor
from tdnet.network import SegmentationNetwork, TDNet, create_model
from tdnet.network.layers import SkipInitialisation, resize

LOGITS_TOLERANCE = 5e-5
FANET_TOLERANCE = 3e-4
LABELS_EQUAL = 0.9999
STREAMS = [
    "td4-psp18.97x193",
    "td4-psp18.193x385",
    "td2-psp50.97x193",
    "psp101.97x193",
    "td2-fa18.96x192",
]


def filled(
    name: str, size: tuple[int, int], folder: Path, keys: str = "", **options: int
) -> SegmentationNetwork:
    with SkipInitialisation():
        model = create_model(name, input_size=size, **options)
    checkpoint = folder / "filled.safetensors"
    save_file(official_state(name + keys, model.feature_size), checkpoint)
    load_weights(model, checkpoint)
    return model


@pytest.fixture(scope="module", params=STREAMS)
def stream(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, np.lib.npyio.NpzFile, SegmentationNetwork]:
    """Name and vectors of a stream, and its network."""
    vectors = np.load(REFERENCE / f"{request.param}.npz")
    name, size = request.param.split(".")[0], vectors["frames"].shape[1:3]
    return request.param, vectors, filled(name, size, tmp_path_factory.mktemp("filled"))


def frames_of(vectors: np.lib.npyio.NpzFile, size: tuple[int, int]) -> torch.Tensor:
    preprocess = Preprocessor(size, torch.device("cpu"), torch.float32)
    return torch.cat([preprocess(torch.from_numpy(frame)) for frame in vectors["frames"]])


@pytest.mark.parametrize("folded", [False, True])
def test_streaming_reproduces_the_vectors(
    stream: tuple[str, np.lib.npyio.NpzFile, SegmentationNetwork], folded: bool
) -> None:
    name, vectors, plain = stream
    size = vectors["frames"].shape[1:3]
    model = copy.deepcopy(plain)
    if folded:
        model.requires_grad_(False).fold()
    memory = model.new_memory()
    tolerance = FANET_TOLERANCE if name.startswith("td2-fa18") else LOGITS_TOLERANCE
    frames = frames_of(vectors, size)
    first = len(frames) - len(vectors["logits"])  # those before it only fill the memory
    wrong = 0
    with torch.inference_mode():
        for frame in frames[:first]:
            model.step(frame[None], memory)
        for frame, expected, labels in zip(
            frames[first:], vectors["logits"], vectors["labels"], strict=True
        ):
            logits = model.step(frame[None], memory)
            every = -(-logits.shape[2] // expected.shape[1])  # the large file keeps every second
            difference = np.abs(logits[0, :, ::every, ::every].numpy() - expected).max()
            assert difference <= tolerance * vectors["logits_peak"]
            wrong += int((resize(logits, size).argmax(1)[0].numpy() != labels).sum())
    assert wrong <= (1 - LABELS_EQUAL) * vectors["labels"].size


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize(
    "file", ["evit-b0.96x160", "evit-b0.128x256", "evit-b1.96x160", "evit-b1.128x256"]
)
def test_efficientvit_reproduces_the_vectors(file: str, folded: bool, tmp_path: Path) -> None:
    vectors = np.load(REFERENCE / f"{file}.npz")
    size = vectors["frames"].shape[1:3]
    model = filled(file.split(".")[0], size, tmp_path)
    if folded:
        model.requires_grad_(False).fold()
    with torch.inference_mode():
        logits = model(frames_of(vectors, size)).numpy()
    assert np.abs(logits - vectors["logits"]).max() <= LOGITS_TOLERANCE * np.abs(logits).max()


@pytest.mark.usefixtures("exports_here")
def test_onnx_runtime_reproduces_the_labels(tmp_path: Path) -> None:
    """With the provider of this environment, from the weights file on, as users run it."""
    exporting_package("onnxscript")
    exporting_package("onnxruntime")
    vectors = np.load(REFERENCE / "td4-psp18.97x193.npz")
    size = vectors["frames"].shape[1:3]
    weights = tmp_path / "filled.safetensors"
    save_weights(filled("td4-psp18", size, tmp_path), weights)
    segmenter = SegmenterSettings(
        "td4-psp18", str(weights), device="cpu", precision="float32", runtime="onnxruntime"
    ).build()
    labels = [segmenter.step(frame).labels for frame in vectors["frames"]]
    agreement = (np.stack(labels[-len(vectors["labels"]) :]) == vectors["labels"]).mean()
    assert agreement >= LABELS_EQUAL


@pytest.mark.parametrize("name", ["td4-psp18", "td2-psp50"])
def test_clips_reproduce_the_training_vectors(name: str, tmp_path: Path) -> None:
    vectors = np.load(REFERENCE / f"{name}.clip.npz")
    size = vectors["frames"].shape[1:3]
    model = filled(name, size, tmp_path, keys=".training", memory_stride=3)
    assert isinstance(model, TDNet)
    frames = frames_of(vectors, size)
    count = model.variant.paths
    clips = torch.stack([frames[:count], frames[1 : count + 1]])
    expected = vectors["clip_logits_every8"]
    for path in range(count):
        with torch.inference_mode():
            logits = resize(model.forward_clip(clips, path).full, size)[:, :, ::8, ::8]
        difference = np.abs(logits.numpy() - expected[path]).max()
        assert difference <= LOGITS_TOLERANCE * np.abs(expected).max()


def test_the_oldest_frame_matters(tmp_path: Path) -> None:
    """The vectors detect a wrong chain: without the oldest frame, the logits change."""
    vectors = np.load(REFERENCE / "td4-psp18.97x193.npz")
    size = vectors["frames"].shape[1:3]
    model = filled("td4-psp18", size, tmp_path)
    memory = model.new_memory()
    with torch.inference_mode():
        for index, frame in enumerate(frames_of(vectors, size)[:4]):
            if index == 3:
                model.commit_memory(memory)
                memory.entries()[0].value.zero_()
                memory.store_context(model.memory_context(memory.entries(), memory.path))
            logits = model.step(frame[None], memory)
    difference = np.abs(logits[0].numpy() - vectors["logits"][3]).max()
    assert difference > 100 * LOGITS_TOLERANCE * vectors["logits_peak"]
