"""The gate for packaged weights: the memory changes labels, and a wrong memory costs accuracy.

Weights that ignore their memory make every test of the memory contract blind.
"""

from __future__ import annotations

import pytest

from tdnet.settings import SegmenterSettings
from tdnet_offline.damage import Damage
from tdnet_offline.datasets import open_dataset
from tdnet_offline.evaluation.memory_control import MemoryMode
from tdnet_offline.evaluation.metrics import (
    changed_share,
    confusion_by_memory,
    mean_iou,
    memory_gain,
)
from tdnet_offline.evaluation.result import Evaluation
from tdnet_offline.evaluation.runner import evaluate

FEW, MANY = (f"street:1000000-{last},frames=7" for last in (1000004, 1000015))
"""Drives that were not used for training; staggered, so that every path has a full memory."""
FULL = 3


def evaluated(drives: str, memory: MemoryMode = "full", damage: str = "none") -> Evaluation:
    segmenter = SegmenterSettings(device="cpu", precision="float32").build()
    return evaluate(
        open_dataset(drives),
        segmenter,
        memory=memory,
        damage=Damage.parse(damage),
        withhold=memory == "full",
        stagger=True,
        worst=0,
        consistency=False,
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Option of a source whose frames are rendered once; most of the time is theirs."""
    return f",cache={tmp_path_factory.mktemp('street')}"


@pytest.fixture(scope="module")
def clean(cache: str) -> Evaluation:
    return evaluated(FEW + cache)


def test_withholding_the_memory_changes_labels(clean: Evaluation) -> None:
    assert clean.withheld_memory is not None
    assert changed_share(clean.withheld_memory) >= 0.01


def test_the_memory_of_another_stream_costs_accuracy(clean: Evaluation, cache: str) -> None:
    own, foreign = (
        mean_iou(confusion_by_memory(evaluation)[FULL])
        for evaluation in (clean, evaluated(FEW + cache, "foreign"))
    )
    assert 100 * (own - foreign) >= 0.5


def test_the_memory_replaces_rows_that_a_frame_lost(cache: str) -> None:
    # Its gain differs from drive to drive.
    withheld = evaluated(MANY + cache, damage="stripe=0.3").withheld_memory
    assert withheld is not None
    assert 100 * memory_gain(withheld) >= 4
