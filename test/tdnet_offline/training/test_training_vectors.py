"""Losses, teacher and gradients are those of the published training code (specification)."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.reference_fill import REFERENCE, official_state
from torch import nn

from tdnet.checkpoints.weights import load_weights
from tdnet.frames.preprocess import Preprocessor
from tdnet.network import TDNet, create_model
from tdnet_offline.training.auxiliary import auxiliary_heads, load_auxiliary_heads
from tdnet_offline.training.losses import training_losses
from tdnet_offline.training.teacher import TeacherLogits, load_teacher

LOGITS_TOLERANCE = 5e-5
LOSS_TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 5e-3
IGNORED = 250
LOSSES = ("loss_full", "loss_sub", "loss_aux", "loss_distill", "total")


@dataclass
class Lesson:
    """What the vectors of a network are computed from; the vectors themselves."""

    network: TDNet
    heads: nn.ModuleList
    clips: torch.Tensor
    labels: torch.Tensor
    taught: TeacherLogits
    teacher_vectors: np.ndarray
    vectors: list[dict]


@pytest.fixture(scope="module", params=["td4-psp18", "td2-psp50"])
def lesson(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lesson:
    name: str = request.param
    folder = tmp_path_factory.mktemp("filled")
    frames = np.load(REFERENCE / f"{name}.clip.npz")["frames"]
    stored = np.load(REFERENCE / f"{name}.train.npz")
    size = frames.shape[1:3]
    network = create_model(name, input_size=size, memory_stride=3)
    assert isinstance(network, TDNet)
    count = network.variant.paths

    student = official_state(f"{name}.training", network.feature_size)
    save_file(student, folder / "student.safetensors")
    load_weights(network, folder / "student.safetensors")
    heads = auxiliary_heads(network)
    assert load_auxiliary_heads(heads, student)
    for module in [*network.modules(), *heads.modules()]:
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0

    preprocess = Preprocessor(size, torch.device("cpu"), torch.float32)
    images = torch.cat([preprocess(torch.from_numpy(frame)) for frame in frames])
    clips = torch.stack([images[:count], images[1 : count + 1]])
    return Lesson(
        network=network,
        heads=heads,
        clips=clips,
        labels=torch.from_numpy(stored["labels"]),
        taught=_taught(count, clips[:, -1], folder),
        teacher_vectors=stored["teacher_every2"],
        vectors=json.loads((REFERENCE / f"{name}.train.json").read_text()),
    )


def _taught(count: int, frames: torch.Tensor, folder: Path) -> TeacherLogits:
    path = folder / "teacher.safetensors"
    save_file(official_state(f"teacher-psp101-{count}groups"), path)
    official_state.cache_clear()  # 0.3 GB
    teacher = load_teacher(path, groups=count, num_classes=19)
    path.unlink()
    return teacher(frames)


def test_the_teacher_says_what_the_published_one_says(lesson: Lesson) -> None:
    spoken = [lesson.taught.full, *lesson.taught.groups]
    for logits, expected in zip(spoken, lesson.teacher_vectors, strict=True):
        difference = np.abs(logits[:, :, ::2, ::2].numpy() - expected).max()
        assert difference <= LOGITS_TOLERANCE * np.abs(expected).max()


def test_losses_and_gradients_are_the_published_ones(lesson: Lesson) -> None:
    assert [vector["path"] for vector in lesson.vectors] == [*range(len(lesson.network.paths))]
    for path, expected in enumerate(lesson.vectors):
        network, heads = copy.deepcopy(lesson.network).train(), copy.deepcopy(lesson.heads).train()
        output = network.forward_clip(lesson.clips, path)
        terms = training_losses(
            output.full,
            lesson.labels,
            sub=output.sub,
            auxiliary=heads[path](output.layer3),
            teacher_full=lesson.taught.full,
            teacher_group=lesson.taught.groups[path],
            kept=lesson.labels[0].numel() // 16,
            ignored=IGNORED,
        )
        terms.total.backward()

        losses = dict(zip(LOSSES, (item.item() for item in terms), strict=True))
        wanted = {name: expected[name] for name in LOSSES}
        assert losses == pytest.approx(wanted, rel=LOSS_TOLERANCE), path
        gradients = {
            "all": _norm([*network.parameters(), *heads.parameters()]),
            "head": _norm([network.paths[path].head.conv.conv.weight]),
            **{
                str(index): _norm([part.encoding.value.weight])
                for index, part in enumerate(network.paths, start=1)
            },
        }
        wanted = {
            "all": expected["grad_norm"],
            "head": expected["grad_norm_head"],
            **expected["grad_norm_value_projection"],
        }
        assert gradients == pytest.approx(wanted, rel=GRADIENT_TOLERANCE), path


def _norm(parameters: list[nn.Parameter]) -> float:
    squares = [item.grad.double().square().sum() for item in parameters if item.grad is not None]
    return float(torch.stack(squares).sum().sqrt())
