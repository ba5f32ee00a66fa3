"""Validation: shared out among processes, by every path."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from support.training import SINGLE, little_config, logged

from tdnet_offline.datasets import open_dataset
from tdnet_offline.training.clip_loader import Position
from tdnet_offline.training.data_module import TrainingData, overlap_notes, validation_batches
from tdnet_offline.training.learner import prepare_learner
from tdnet_offline.training.losses import Objective
from tdnet_offline.training.module import TrainingModule
from tdnet_offline.training.runner import run_training


def test_validation_is_shared_out_and_adds_up(little: Path, tmp_path: Path) -> None:
    recipe = little_config(tmp_path, little, validation__clips=5, network__memory_stride=2)

    def counted(rank: int, processes: int, size: int) -> torch.Tensor:
        position = Position(rank, processes, clips=size, parts=1)
        data = TrainingData(recipe, position, start=0, pin_memory=False)
        learner = prepare_learner(recipe, data.class_map)
        objective = Objective(recipe.loss, None, None)
        module = TrainingModule(recipe, learner, objective, {})
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        trainer = pl.Trainer(accelerator="cpu", use_distributed_sampler=False, **quiet)
        trainer.validate(module, datamodule=data, verbose=False)
        assert learner.network.memory_stride == 2
        return module.confusion.confmat

    whole = counted(0, 1, 1)
    assert int(whole.sum()) > 0
    assert torch.equal(whole, counted(0, 1, 2))
    assert torch.equal(whole, counted(0, 2, 2) + counted(1, 2, 2))
    # More processes than batches: some count nothing.
    parts = (counted(rank, 7, 1) for rank in range(7))
    assert torch.equal(whole, sum(parts, torch.zeros_like(whole)))


@pytest.mark.parametrize("size", [1, 4, 8])
@pytest.mark.parametrize("wanted", [0, 6])
def test_every_path_is_validated(size: int, wanted: int) -> None:
    shares = validation_batches(24, wanted, 4, Position(0, 1, clips=size, parts=1))
    by_clip = {index: path for share in shares for index, path in share}
    assert [by_clip[index] for index in sorted(by_clip)] == [n % 4 for n in range(wanted or 24)]
    assert all(len(share) <= size for share in shares)
    assert all(len({path for _, path in share}) == 1 for share in shares)


def test_iou_of_each_class_is_logged_by_its_name(little: Path, tmp_path: Path) -> None:
    keys = {**SINGLE, "validation__every": 2, "validation__clips": 0}
    recipe = little_config(tmp_path, little, **keys)
    folder = run_training(recipe).folder
    by_class = [logged(folder, f"validation/iou/{name}") for name in ("road", "tree", "sky")]
    mean = logged(folder, "validation/mean_iou")
    assert set(mean) == {2, 4}
    for iteration, score in mean.items():
        assert sum(each[iteration] for each in by_class) / 3 == pytest.approx(score, rel=1e-5)


def test_validation_on_what_is_learnt_is_said(little: Path) -> None:
    learnt = open_dataset(f"folder:{little}", "train")
    held_out = open_dataset(f"folder:{little}", "val")
    (note,) = overlap_notes([learnt], [held_out])
    assert note.startswith("validates on training data: 12 of the 12 labelled frames")
    one, other = (dataclasses.replace(learnt, videos=(video,)) for video in learnt.videos)
    assert overlap_notes([one], [other]) == []
    street = open_dataset("street:0@40x64,frames=4")
    assert overlap_notes([street], [learnt]) == []


def test_validation_on_some_of_several_data_sets_that_are_learnt_is_said(little: Path) -> None:
    learnt = open_dataset(f"folder:{little}", "train")
    one, _ = (dataclasses.replace(learnt, videos=(video,)) for video in learnt.videos)
    street, other = (open_dataset(f"street:{seed}@40x64,frames=4") for seed in (0, 1))
    assert overlap_notes([street, one], [other]) == []
    (note,) = overlap_notes([street, one], [other, learnt])
    assert "6 of the 12 labelled frames of folder" in note
    notes = overlap_notes([street, one], [learnt, street])
    assert ["folder" in note for note in notes] == [True, False]
    assert "4 of the 4 labelled frames of street" in notes[1]
