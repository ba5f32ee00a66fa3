"""Hard pixels, divergences, and the weighted sum."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reference_fill import REFERENCE, uniform
from torch.nn import functional

from tdnet import create_model
from tdnet_offline.training.configuration import LossConfig
from tdnet_offline.training.losses import (
    Objective,
    distillation,
    ohem_cross_entropy,
    training_losses,
)

OHEM_VECTORS = json.loads((REFERENCE / "ohem.json").read_text())


def random_logits(seed: int, *shape: int, scale: float = 3.0) -> torch.Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def random_labels(seed: int, classes: int, *shape: int) -> torch.Tensor:
    """A sixth or so of them is ignored."""
    labels = torch.randint(classes + 1, shape, generator=torch.Generator().manual_seed(seed))
    return labels.where(labels < classes, 255)


def sorted_ohem(logits: torch.Tensor, labels: torch.Tensor, threshold: float, kept: int) -> float:
    """The specification's sentence, with a whole sort, in float64."""
    numbers = logits.double().numpy()
    log_sum = np.log(np.exp(numbers).sum(axis=1))
    truth = np.where(labels == 255, 0, labels)
    own = np.take_along_axis(numbers, truth[:, None], axis=1)[:, 0]
    losses = np.sort(np.where(labels == 255, 0, log_sum - own).ravel())[::-1]
    if kept < losses.size and losses[kept] > -math.log(threshold):
        return losses[losses > -math.log(threshold)].mean()
    return losses[:kept].mean()


@pytest.mark.parametrize("vector", OHEM_VECTORS, ids=lambda item: f"{item['branch']} {item['n']}")
def test_ohem_reproduces_the_vectors(vector: dict) -> None:
    numbers = (uniform(vector["logits_hash_index"], 2 * 5 * 24 * 32) - 0.5) * vector["scale"]
    logits = torch.from_numpy(numbers.astype(np.float32).reshape(2, 5, 24, 32))
    hashed = np.floor(6 * uniform(vector["labels_hash_index"], 2 * 24 * 32)).astype(np.int64)
    labels = torch.from_numpy(np.where(hashed == 5, 250, hashed).reshape(2, 24, 32))
    loss = ohem_cross_entropy(logits, labels, ignored=250, kept=vector["n"])
    assert loss.item() == pytest.approx(vector["loss"], rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    scale=st.floats(0.1, 8),
    threshold=st.floats(0.1, 0.95),
    kept=st.integers(1, 200),
)
def test_ohem_is_the_mean_after_a_whole_sort(
    seed: int, scale: float, threshold: float, kept: int
) -> None:
    logits = random_logits(seed, 2, 4, 7, 9, scale=scale)
    labels = random_labels(seed, 4, 2, 7, 9)
    loss = ohem_cross_entropy(logits, labels, threshold=threshold, kept=kept)
    assert loss.item() == pytest.approx(sorted_ohem(logits, labels, threshold, kept), rel=1e-5)


def test_ohem_teaches_only_hard_pixels() -> None:
    logits = random_logits(1, 1, 4, 16, 16).requires_grad_()
    labels = random_labels(1, 4, 1, 16, 16)
    ohem_cross_entropy(logits, labels, kept=10).backward()
    moved = logits.grad.abs().sum(dim=1) > 0
    likely = logits.softmax(1).gather(1, labels.where(labels < 4, 0)[:, None])[:, 0]
    hard = (likely < 0.7) & (labels != 255)
    assert torch.equal(moved, hard)
    assert 10 < hard.sum() < hard.numel()


def test_ohem_of_nothing_but_ignored_pixels_is_zero_and_teaches_nothing() -> None:
    logits = random_logits(2, 1, 4, 8, 8).requires_grad_()
    loss = ohem_cross_entropy(logits, torch.full((1, 8, 8), 255), kept=4)
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("kept", [1, 64])
def test_ohem_does_not_hide_broken_logits(kept: int) -> None:
    logits = random_logits(3, 1, 4, 8, 8)
    logits[0, 2, 3, 3] = float("nan")
    assert ohem_cross_entropy(logits, torch.zeros(1, 8, 8), kept=kept).isnan()


def test_distillation_is_the_divergence_averaged_over_positions() -> None:
    teacher, student = random_logits(4, 2, 5, 3, 4), random_logits(5, 2, 5, 3, 4)
    expected = functional.kl_div(
        student.log_softmax(1), teacher.log_softmax(1), reduction="sum", log_target=True
    )
    assert distillation(teacher, student).item() == pytest.approx(expected.item() / 24, rel=1e-4)
    assert distillation(teacher, teacher).item() == 0


def test_distillation_of_certain_networks_stays_finite() -> None:
    teacher = torch.tensor([0.0, 2000.0]).reshape(1, 2, 1, 1)
    student = teacher.flip(1).requires_grad_()
    loss = distillation(teacher, student)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(1e8), rel=1e-3)
    assert student.grad.isfinite().all()


class TestSum:
    full = random_logits(6, 2, 4, 3, 5)
    sub = random_logits(7, 2, 4, 3, 5)
    auxiliary = random_logits(8, 2, 4, 3, 5)
    teacher = random_logits(9, 2, 4, 3, 5)
    group = random_logits(10, 2, 4, 3, 5)
    labels = random_labels(11, 4, 2, 17, 33)

    def resized(self, logits: torch.Tensor) -> float:
        large = functional.interpolate(logits, (17, 33), mode="bilinear", align_corners=True)
        return sorted_ohem(large, self.labels, 0.7, 2 * 17 * 33 // 16)

    def test_every_term_has_its_published_weight(self) -> None:
        terms = training_losses(
            self.full,
            self.labels,
            sub=self.sub,
            auxiliary=self.auxiliary,
            teacher_full=self.teacher,
            teacher_group=self.group,
        )
        full, sub, auxiliary = map(self.resized, (self.full, self.sub, self.auxiliary))
        whole = distillation(self.teacher, self.full).item()
        taught = whole + 0.5 * distillation(self.group, self.sub).item()
        total = full + 0.5 * sub + 0.1 * auxiliary + taught
        values = [item.item() for item in terms]
        assert values == pytest.approx([full, sub, auxiliary, taught, total], rel=1e-5)

    def test_a_single_frame_network_has_two_terms(self) -> None:
        config = LossConfig(auxiliary=0.4)
        terms = training_losses(self.full, self.labels, auxiliary=self.auxiliary, config=config)
        assert (terms.sub.item(), terms.distillation.item()) == (0, 0)
        expected = self.resized(self.full) + 0.4 * self.resized(self.auxiliary)
        assert terms.total.item() == pytest.approx(expected, rel=1e-5)

    def test_half_precision_logits_are_summed_in_float32(self) -> None:
        rounded = self.full.to(torch.bfloat16)
        terms = training_losses(rounded, self.labels, teacher_full=self.teacher)
        exact = training_losses(rounded.float(), self.labels, teacher_full=self.teacher)
        assert terms == exact
        assert terms.total.dtype == torch.float32


@pytest.mark.parametrize("align_corners", [True, False])
def test_logits_are_resized_as_the_variant_says(align_corners: bool) -> None:
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(2, 3, 4, 6, generator=generator)
    labels = torch.randint(3, (2, 32, 48), generator=generator)
    terms = training_losses(
        logits, labels, pixel_loss=functional.cross_entropy, align_corners=align_corners
    )
    large = functional.interpolate(logits, (32, 48), mode="bilinear", align_corners=align_corners)
    assert float(terms.full) == pytest.approx(float(functional.cross_entropy(large, labels)))


def test_one_pixel_of_each_square_counts_and_they_take_turns() -> None:
    network = create_model("psp18-nano", 3, (33, 65))
    config = LossConfig(cross_entropy="ohem", auxiliary=0, distillation="none", pixel_stride=2)
    objective, frames = Objective(config), torch.zeros(1, 1, 3, 33, 65)
    labels = torch.full((1, 33, 65), 255)
    labels[:, 1::2, ::2] = 1
    losses = [float(objective(network, None, frames, labels, turn)[0].full) for turn in range(8)]
    assert [loss > 0 for loss in losses] == [False, False, True, False] * 2
