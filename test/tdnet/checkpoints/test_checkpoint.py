"""Only whole regular files of a size that a network can have are read, without mapping them."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from tdnet import create_model, list_variants, save_weights
from tdnet.checkpoints.checkpoint import MAX_BYTES, MAX_HEADER_BYTES, Checkpoint
from tdnet.errors import WeightsError
from tdnet.network.layers import SkipInitialisation


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        Checkpoint.open(path)
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
        with torch.device("meta"), SkipInitialisation():
            state = create_model(name, num_classes=255).state_dict()
        numbers = sum(item.numel() for item in state.values())
        assert numbers * 8 * 3 < MAX_BYTES, name
        path = tmp_path / f"{name}.safetensors"
        save_file({key: torch.zeros(1) for key in state}, path)
        assert path.stat().st_size < MAX_HEADER_BYTES / 4, name


def test_a_file_may_be_overwritten_while_its_tensors_are_in_use(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(1 << 20)}, path)
    tensors = Checkpoint.open(path).tensors
    path.write_bytes(b"")
    child = os.fork()  # reading mapped memory would end the process
    if child == 0:
        os._exit(0 if tensors["a"].numpy().tobytes() == b"\0\0\x80\x3f" * (1 << 20) else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0


@pytest.mark.parametrize(
    ("suffix", "kept"),
    [(".safetensors", kept) for kept in (0, 5, 9, 100, 0.5, 0.999)]
    + [(".pth", kept) for kept in (0, 5, 0.999)],
)
def test_truncated_files_name_themselves(suffix: str, kept: float, tmp_path: Path) -> None:
    model = create_model("td4-psp18-nano", input_size=(65, 129))
    path = tmp_path / f"cut{suffix}"
    if suffix == ".pth":
        torch.save(model.state_dict(), path)
    else:
        save_weights(model, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept if kept >= 1 else kept * len(data))])
    with pytest.raises(WeightsError, match=f"cut{suffix}") as caught:
        Checkpoint.open(path)
    assert "\n" not in str(caught.value)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=400), suffix=st.sampled_from([".safetensors", ".pth", ".pkl"]))
def test_arbitrary_bytes_give_one_line(data: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"random{suffix}"
    path.write_bytes(data)
    with pytest.raises(WeightsError) as caught:
        Checkpoint.open(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


@pytest.mark.parametrize("content", [{"a": 1}, [1, 2]], ids=str)
def test_files_without_a_network_are_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="holds no tensors"):
        Checkpoint.open(tmp_path / "other.pth")


@pytest.mark.parametrize("path", ["missing.pth", "."])
def test_missing_files_are_named(path: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not exist|is a folder"):
        Checkpoint.open(tmp_path / path)
