"""Files of torch.save are read; a hostile file costs a child process at most."""

from __future__ import annotations

import io
import tarfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from support.endless_checkpoint import endless_checkpoint

from tdnet.checkpoints.checkpoint import MAX_BYTES, Checkpoint
from tdnet.checkpoints.pytorch_checkpoint import read_pytorch
from tdnet.errors import WeightsError

WIDE = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)


def state() -> dict[str, torch.Tensor]:
    """Tensors of every number format and layout that a checkpoint may have."""
    numbers = torch.arange(-4, 4)
    formats = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64)
    formats += (torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
    return {
        **{str(dtype): numbers.to(dtype) for dtype in formats},
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
        "whole": WIDE,
        "turned": WIDE.permute(2, 0, 1),
        "part": WIDE[1, :, 1:3],
        "row": WIDE[0, 2],
        "parameter": torch.nn.Parameter(torch.ones(3)),
        "channels last": WIDE[None].contiguous(memory_format=torch.channels_last),
    }


@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])
def test_the_tensors_of_a_training_are_read(
    as_zip: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {
        "epoch": 3,
        "best": np.float64(0.7),
        "model_state": OrderedDict(state()),
        "optimizer": {"state": {0: {"momentum": torch.zeros(5)}}, "groups": [{"lr": 0.1}]},
    }
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=as_zip)
    # The child must not take modules from the working folder.
    for name in ("resource", "tdnet", "torch"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the folder was run')")
    monkeypatch.chdir(tmp_path)
    read = Checkpoint.open("a.pth").tensors
    assert set(read) == set(state())
    for name, item in state().items():
        assert read[name].dtype == item.dtype, name
        assert torch.equal(read[name], item.detach()), name


def test_a_file_that_never_ends_is_given_up(tmp_path: Path) -> None:
    path = endless_checkpoint(tmp_path / "endless.pth")
    refused = pytest.raises(WeightsError, match=r"endless\.pth: reading it took more than 3 s")
    with path.open("rb", buffering=0) as file, refused:
        read_pytorch(file, path, MAX_BYTES, seconds=3)


def test_an_object_instead_of_a_state_dict_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(WeightsError, match=r"module\.pth: .*Linear.*save model\.state_dict\(\)"):
        Checkpoint.open(tmp_path / "module.pth")


def test_a_tensor_that_grows_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1).expand(40_000, 40_000)}, tmp_path / "grows.pth")
    with pytest.raises(WeightsError, match=f"6400000000 bytes; allowed are {MAX_BYTES}"):
        Checkpoint.open(tmp_path / "grows.pth")


def test_a_tar_archive_is_refused_unread(tmp_path: Path) -> None:
    # The layout of PyTorch 0.1, whose code torch.load ran until 2.6 even with weights_only.
    with tarfile.open(tmp_path / "old.pth", "w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"), io.BytesIO())
    with pytest.raises(WeightsError, match="neither safetensors nor torch.save"):
        Checkpoint.open(tmp_path / "old.pth")
