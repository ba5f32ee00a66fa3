"""Runs that learn from several data sets, and from stills."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from support.training import little_config, logged, write_little

from tdnet.errors import InputError
from tdnet_offline.training.runner import run_training

STREET = "street:0-1@41x73,frames=5"


def test_a_run_learns_from_several_data_sets(little: Path, tmp_path: Path) -> None:
    other = write_little(tmp_path / "other", videos=1)
    config = little_config(
        tmp_path,
        little,
        data__train=f"folder:{little} + folder:{other}",
        data__shares=[0.3, 0.7],
        data__validation=f"folder:{other} + folder:{little}",
        loss__cross_entropy="balanced",
        augmentation__stripe=0.4,
        augmentation__noise=30,
    )
    summary = run_training(config)
    losses = logged(summary.folder)
    assert len(losses) == 4
    assert all(map(math.isfinite, losses.values()))


def test_shares_need_one_number_for_each_data_set(little: Path, tmp_path: Path) -> None:
    config = little_config(tmp_path, little, data__shares=[0.3, 0.7])
    with pytest.raises(InputError, match="data.shares has 2 numbers for 1 data sets in data.tr"):
        run_training(config)
    assert not (tmp_path / "run").exists()


def test_data_sets_of_other_classes_are_refused(little: Path, tmp_path: Path) -> None:
    config = little_config(tmp_path, little, data__train=f"folder:{little} + {STREET}")
    with pytest.raises(InputError, match="'little', street:.* has 'cityscapes'; give one for bo"):
        run_training(config)


def test_paths_learn_from_stills_that_are_repeated(tmp_path: Path) -> None:
    root = write_little(tmp_path / "stills", videos=3, frames=1)
    with pytest.raises(InputError, match="none of the 3 labelled frames .*data.repeat_stills=tr"):
        run_training(little_config(tmp_path, root))
    summary = run_training(little_config(tmp_path, root, data__repeat_stills=True))
    assert summary.progress.iteration == 4
