"""What a run is validated on: shared out, by every path, scored as torchmetrics does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex

from tdnet import create_model
from tdnet_offline.datasets import ClipDataset, ClipMixture, open_dataset
from tdnet_offline.training.data import Position, clip_loader
from tdnet_offline.training.validation import (
    mean_iou,
    overlap_notes,
    streamed_confusion,
    validation_batches,
)

SIZE = (33, 65)


def test_validation_is_shared_out_and_adds_up(little: Path) -> None:
    network = create_model("td4-psp18-nano", 3, SIZE)
    clips = ClipMixture([ClipDataset(open_dataset(f"folder:{little}"), 4, (1,))])

    def counted(rank: int, processes: int, size: int) -> torch.Tensor:
        position = Position(rank, processes, clips=size, parts=1)
        shares = validation_batches(len(clips), 5, 4, position)
        return streamed_confusion(
            network,
            clip_loader(clips, [share.items for share in shares], workers=0, pin_memory=False),
            device=torch.device("cpu"),
            dtype=torch.float32,
            paths=[share.path for share in shares],
        )

    whole = counted(0, 1, 1)
    assert int(whole.sum()) > 0
    assert torch.equal(whole, counted(0, 1, 2))
    assert torch.equal(whole, counted(0, 2, 2) + counted(1, 2, 2))
    parts = (counted(rank, 4, 1) for rank in range(4))
    assert torch.equal(whole, sum(parts, torch.zeros_like(whole)))


@pytest.mark.parametrize("size", [1, 4, 8])
@pytest.mark.parametrize("wanted", [0, 6])
def test_every_path_is_validated(size: int, wanted: int) -> None:
    shares = validation_batches(24, wanted, 4, Position(0, 1, clips=size, parts=1))
    by_clip = {index: share.path for share in shares for index, _ in share.items}
    assert [by_clip[index] for index in sorted(by_clip)] == [n % 4 for n in range(wanted or 24)]
    assert all(len(share.items) <= size for share in shares)


def test_validation_on_what_is_learnt_is_said(little: Path) -> None:
    learnt = open_dataset(f"folder:{little}", "train")
    held_out = open_dataset(f"folder:{little}", "val")
    (note,) = overlap_notes([learnt], [held_out])
    assert note.startswith("validates on what it learns from: 12 of the 12 labelled frames")
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


def test_mean_iou_is_that_of_torchmetrics() -> None:
    random = torch.Generator().manual_seed(1)
    truth = torch.randint(0, 4, (1000,), generator=random)
    given = torch.randint(0, 5, (1000,), generator=random)
    counts = torch.bincount(truth * 5 + given, minlength=25).reshape(5, 5)
    metric = MulticlassJaccardIndex(5, average=None)
    by_class = metric(given, truth)[:4]  # class 4 is not in the truth
    assert mean_iou(counts) == pytest.approx(float(by_class.mean()))
