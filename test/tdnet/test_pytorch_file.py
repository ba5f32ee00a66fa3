"""What torch.save writes is read as torch.load reads it; what a stranger writes costs nothing."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tdnet.checkpoint_file import read_checkpoint
from tdnet.errors import WeightsError
from tdnet.pytorch_file import MAX_CONTENTS_BYTES, MAX_PICKLE_BYTES

Tensors = dict[str, torch.Tensor]
WIDE = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)


def state() -> Tensors:
    """Tensors of every number format and layout that a checkpoint may have."""
    numbers = torch.arange(-4, 4)
    formats = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64)
    formats += (torch.int32, torch.int16, torch.int8, torch.uint8)
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


WRAPS: dict[str, Callable[[Tensors], object]] = {
    "bare": dict,
    "ordered": OrderedDict,
    "training": lambda tensors: {
        "epoch": 3,
        "best": np.float64(0.7),
        "args": pytest.Item,  # any class that only its own code knows
        "model_state": tensors,
        "optimizer": {"state": {0: {"momentum": torch.zeros(5)}}, "groups": [{"lr": 0.1}]},
    },
}


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS.keys())
@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_all_that_torch_saves_is_read(
    wrap: Callable[[Tensors], object], as_zip: bool, protocol: int, tmp_path: Path
) -> None:
    torch.save(
        wrap(state()),
        tmp_path / "a.pth",
        _use_new_zipfile_serialization=as_zip,
        pickle_protocol=protocol,
    )
    read = read_checkpoint(tmp_path / "a.pth").tensors
    assert list(read) == list(state())
    for name, item in state().items():
        assert read[name].dtype == item.dtype, name
        assert torch.equal(read[name], item.detach()), name
    assert read["whole"].untyped_storage().data_ptr() == read["row"].untyped_storage().data_ptr()


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Call:
    """Pickled as the call of a function."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])
def test_what_a_file_wants_made_is_not_made(as_zip: bool, tmp_path: Path) -> None:
    wishes = {
        "folder": Call(Path.mkdir, tmp_path / "trap"),
        "memory": Call(bytearray, 1 << 62),
        "storage": Call(torch.FloatStorage, 1 << 60),
        "good": torch.ones(2),
    }
    torch.save(wishes, tmp_path / "a.pth", _use_new_zipfile_serialization=as_zip)
    assert list(read_checkpoint(tmp_path / "a.pth").tensors) == ["good"]
    assert not (tmp_path / "trap").exists()


def test_an_object_instead_of_a_state_dict_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    assert "save model.state_dict()" in refusal(tmp_path / "module.pth")


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_torchscript_is_refused(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    refusal(tmp_path / "script.pt")


def test_a_tar_archive_is_refused(tmp_path: Path) -> None:
    # The layout of PyTorch 0.1, whose code torch.load ran until 2.6 even with weights_only.
    with tarfile.open(tmp_path / "old.pth", "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            data = pickle.dumps(Call(Path.mkdir, tmp_path / "trap"), 2)
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    assert "neither safetensors nor torch.save" in refusal(tmp_path / "old.pth")
    assert not (tmp_path / "trap").exists()


def rezipped(path: Path, compression: int = zipfile.ZIP_STORED, **contents: bytes) -> Path:
    """A saved file again, with some of its entries changed."""
    saved = path.with_suffix(".saved")
    torch.save({"a": torch.arange(6.0), "b": torch.arange(6.0)[::2]}, saved)
    with zipfile.ZipFile(saved) as before, zipfile.ZipFile(path, "w", compression) as after:
        for name in before.namelist():
            own = name.rpartition("/")[2].replace(".", "_")
            after.writestr(name, contents.get(own, before.read(name)))
    return path


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    path = rezipped(tmp_path / "bomb.pth", zipfile.ZIP_DEFLATED, **{"0": bytes(1 << 20)})
    assert path.stat().st_size < 1 << 14
    assert "compressed" in refusal(path)


def test_entries_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "overlap.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}, 2))
        archive.writestr("a/data/0", bytes(1000))
        for _ in range(50):
            archive.filelist.append(archive.filelist[-1])
    assert "overlap" in refusal(path).lower()


def test_an_endless_table_of_contents_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "contents.pth"
    size = MAX_CONTENTS_BYTES + 46
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, size, 0, 0)
    path.write_bytes(b"PK\3\4" + bytes(size - 4) + end)
    assert f"allowed are {MAX_CONTENTS_BYTES}" in refusal(path)


def test_a_long_pickle_is_refused_unread(tmp_path: Path) -> None:
    path = rezipped(tmp_path / "long.pth", data_pkl=b"N" * (MAX_PICKLE_BYTES + 1))
    assert f"at most {MAX_PICKLE_BYTES} bytes" in refusal(path)


def test_another_byte_order_is_refused(tmp_path: Path) -> None:
    assert "byte order" in refusal(rezipped(tmp_path / "big.pth", byteorder=b"big"))


def test_a_storage_of_another_length_is_refused(tmp_path: Path) -> None:
    assert "has 20 bytes" in refusal(rezipped(tmp_path / "short.pth", **{"0": bytes(20)}))


def described(
    offset: object, size: object, stride: object, length: object = 6, kind: str = "FloatStorage"
) -> bytes:
    """A pickle of one tensor, as torch.save writes it, over a storage of 6 numbers."""

    class Storage:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, item: object) -> object:
            if isinstance(item, Storage):
                return ("storage", getattr(torch, kind), "0", "cpu", length)
            return None

    stream = io.BytesIO()
    rebuild = torch._utils._rebuild_tensor_v2
    Pickler(stream, 2).dump({"a": Call(rebuild, Storage(), offset, size, stride, False, {})})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("description", "problem"),
    [
        (described(0, (40_000, 40_000), (0, 0)), "made of 6 numbers"),
        (described(0, (7,), (1,)), "made of 6 numbers"),
        (described(3, (2, 2), (2, 1)), "made of 6 numbers"),
        (described(0, (2,), (1 << 61,)), "made of 6 numbers"),
        (described(1 << 70, (1,), (1,)), "made of 6 numbers"),
        (described(-1, (2,), (1,)), "without a shape"),
        (described(0, (2, 2), (1,)), "without a shape"),
        (described(0, (2.0,), (1,)), "without a shape"),
        (described(0, (1,) * 9, (1,) * 9), "without a shape"),
        (described(0, 2, 1), "without a shape"),
        (described(0, (6,), (1,), length=1 << 60), "has 24 bytes"),
        (described(0, (6,), (1,), length=-6), "another kind"),
        (described(0, (6,), (1,), kind="QInt8Storage"), "another kind"),
    ],
)
def test_a_tensor_beyond_its_numbers_is_refused(
    description: bytes, problem: str, tmp_path: Path
) -> None:
    path = rezipped(tmp_path / "beyond.pth", data_pkl=description)
    assert problem in refusal(path)


def test_a_tensor_within_its_numbers_is_read(tmp_path: Path) -> None:
    path = rezipped(tmp_path / "within.pth", data_pkl=described(1, (2, 2), (2, 1)))
    assert torch.equal(read_checkpoint(path).tensors["a"], torch.tensor([[1.0, 2], [3, 4]]))


@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1, exclude_max=True), change=st.binary(min_size=1, max_size=8))
def test_any_damage_gives_one_error_or_tensors(
    as_zip: bool, position: float, change: bytes, tmp_path: Path
) -> None:
    stream = io.BytesIO()
    torch.save({"a": WIDE, "b": 1}, stream, _use_new_zipfile_serialization=as_zip)
    data = bytearray(stream.getvalue())
    start = int(position * len(data))
    data[start : start + len(change)] = change
    (tmp_path / "damaged.pth").write_bytes(data)
    try:
        tensors = read_checkpoint(tmp_path / "damaged.pth").tensors
    except WeightsError as error:
        assert "\n" not in str(error)
    else:
        assert all(item.numel() <= WIDE.numel() for item in tensors.values())
