"""Scores of counts against torchmetrics, and where nothing was counted."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

from tdnet import ClassMap
from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.confusion import ClassAxis

CLASSES = 7
IGNORED = 255


def pictures(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth and labels that agree on about half of the pixels; class 5 is in neither."""
    draw = np.random.default_rng(seed)
    known = np.array([0, 1, 2, 3, 4, 6], np.uint8)
    truth = draw.choice(known, (40, 50))
    labels = np.where(draw.random(truth.shape) < 0.5, truth, draw.choice(known, truth.shape))
    truth[draw.random(truth.shape) < 0.1] = IGNORED
    return truth, labels


@pytest.fixture(scope="module")
def axis() -> ClassAxis:
    return ClassAxis(ClassMap.numbered(CLASSES))


def test_iou_and_accuracy_are_those_of_torchmetrics(axis: ClassAxis) -> None:
    options = {"num_classes": CLASSES, "ignore_index": IGNORED}
    iou = MulticlassJaccardIndex(average="none", **options)
    accuracy = MulticlassAccuracy(average="micro", **options)
    total = np.zeros((CLASSES, CLASSES + 1), np.int64)
    for seed in range(3):
        truth, labels = pictures(seed)
        total += axis.confusion(truth, labels)
        for metric in (iou, accuracy):
            metric.update(torch.from_numpy(labels).long(), torch.from_numpy(truth).long())

    found = metrics.class_iou(total)
    present = [0, 1, 2, 3, 4, 6]
    np.testing.assert_allclose(found[present], iou.compute().numpy()[present], rtol=1e-6)
    assert math.isnan(found[5])
    assert metrics.mean_iou(total) == pytest.approx(iou.compute()[present].mean(), rel=1e-6)
    assert metrics.pixel_accuracy(total) == pytest.approx(float(accuracy.compute()), rel=1e-6)


def test_pixels_without_a_label_are_wrong_and_count_as_no_class(axis: ClassAxis) -> None:
    truth = np.array([[0, 0, 1, 1]], np.uint8)
    labels = np.array([[0, IGNORED, 1, 1]], np.uint8)
    counts = axis.confusion(truth, labels)
    assert counts[0, CLASSES] == 1
    assert counts.sum() == 4
    assert metrics.class_iou(counts)[:2].tolist() == [0.5, 1.0]
    assert metrics.pixel_accuracy(counts) == 0.75


def test_ids_need_not_follow_each_other() -> None:
    classes = "classes:\n" + "".join(
        f"  - {{id: {i}, name: c{i}, color: [{i}, 0, 0], from: [{n}]}}\n"
        for n, i in enumerate((7, 3, 200))
    )
    axis = ClassAxis(ClassMap.from_yaml(f"name: sparse\nnetwork: 3\n{classes}", "sparse"))
    assert axis.ids == (3, 7, 200)
    truth = np.array([[3, 7, 200, 5]], np.uint8)
    assert axis.confusion(truth, truth)[:, :3].tolist() == np.eye(3, dtype=int).tolist()
    assert axis.confusion(truth, np.full_like(truth, 9))[:, 3].tolist() == [1, 1, 1]


def test_a_label_that_comes_or_goes_disagrees(axis: ClassAxis) -> None:
    earlier = np.array([[0, 0, IGNORED, 1, 2, IGNORED]], np.uint8)
    later = np.array([[0, 0, 0, IGNORED, 1, IGNORED]], np.uint8)
    counts = axis.agreement(earlier, later)
    assert counts.shape == (CLASSES + 1, CLASSES + 1)
    assert (counts[0, 0], counts[2, 1], counts[-1, 0], counts[1, -1]) == (2, 1, 1, 1)
    assert counts.sum() == 5  # what has no label in both tells nothing
    assert metrics.agreement(counts) == 2 / 5
    assert metrics.class_consistency(counts)[:3].tolist() == [2 / 3, 0.0, 0.0]
    assert len(metrics.class_consistency(counts)) == CLASSES
    assert metrics.mean_consistency(counts) == pytest.approx(2 / 9)


def test_nothing_counted_is_no_score(axis: ClassAxis) -> None:
    empty = np.zeros((CLASSES, CLASSES + 1), np.int64)
    assert math.isnan(metrics.mean_iou(empty))
    assert math.isnan(metrics.pixel_accuracy(empty))
    assert math.isnan(metrics.mean_boundary_f(np.zeros((CLASSES, 4), np.int64)))


def test_boundary_f_is_the_harmonic_mean() -> None:
    boundary = np.array([[10, 5, 20, 15], [0, 0, 4, 0], [3, 0, 0, 0], [0, 0, 0, 0]])
    precision, recall = 5 / 10, 15 / 20
    f_score = 2 * precision * recall / (precision + recall)
    found = metrics.class_boundary_f(boundary)
    assert found[:3].tolist() == pytest.approx([f_score, 0.0, 0.0])
    assert math.isnan(found[3])
    assert metrics.mean_boundary_f(boundary) == pytest.approx(f_score / 3)
