"""Which files are read at all: plain ones, of a size that a network can have."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tdnet import create_model, list_variants
from tdnet.checkpoints.checkpoint_file import MAX_BYTES, MAX_HEADER_BYTES, read_checkpoint
from tdnet.errors import WeightsError


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_pipe_is_not_waited_for(suffix: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"pipe{suffix}")
    assert "a pipe, a device" in refusal(tmp_path / f"pipe{suffix}")


def test_a_device_is_not_read(tmp_path: Path) -> None:
    link = tmp_path / "endless.safetensors"
    link.symlink_to("/dev/zero")
    assert "a pipe, a device" in refusal(link)


def test_what_the_kernel_calls_empty_is_not_read(tmp_path: Path) -> None:
    link = tmp_path / "maps.pth"
    link.symlink_to("/proc/self/maps")
    assert "is empty" in refusal(link)


def test_a_missing_folder_is_no_traceback() -> None:
    assert "does not exist" in refusal(Path("/no/such/folder/a.pth"))
    assert "too long" in refusal(Path("/" + "x" * 300))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_larger_than_any_network_is_not_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"large{suffix}"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 2) + b"{}")
        file.truncate(MAX_BYTES + 1)
    assert f"allowed are {MAX_BYTES}" in refusal(path)


@pytest.mark.parametrize("claimed", [MAX_HEADER_BYTES + 1, 1 << 63], ids=["long", "absurd"])
def test_a_header_of_absurd_length_is_not_read(claimed: int, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", claimed) + b"{" + b" " * (MAX_HEADER_BYTES + 9))
    assert f"allowed are {MAX_HEADER_BYTES}" in refusal(path)


def test_the_limits_leave_room_for_every_network(tmp_path: Path) -> None:
    for name in list_variants():
        with torch.device("meta"):
            state = create_model(name, num_classes=255).state_dict()
        numbers = sum(item.numel() for item in state.values())
        assert numbers * 8 * 3 < MAX_BYTES, name
        path = tmp_path / f"{name}.safetensors"
        save_file({key: torch.zeros(1) for key in state}, path)
        assert path.stat().st_size < MAX_HEADER_BYTES / 4, name


def test_names_cannot_act_upon_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"\x1b[2J\nodd": torch.eye(2).to(torch.complex64)}, path)
    assert r"\x1b[2J odd is sparse, quantised, complex" in refusal(path)


def test_a_file_may_be_overwritten_while_its_tensors_are_in_use(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(1 << 20)}, path)
    tensors = read_checkpoint(path).tensors
    path.write_bytes(b"")
    child = os.fork()  # reading what was mapped would end the process
    if child == 0:
        os._exit(0 if tensors["a"].numpy().tobytes() == b"\0\0\x80\x3f" * (1 << 20) else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0
