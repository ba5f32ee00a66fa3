"""What a stranger's bag, video or image may do to the offline command: cost one line."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from safetensors.torch import save_file
from support.media import TYPES, drive, folder_of, raw_message, write_video

from tdnet.errors import InputError
from tdnet.frames.image_files import MAX_FILE_BYTES, MAX_SIDE
from tdnet_offline.bags.bag import MAX_METADATA_BYTES
from tdnet_offline.command import main
from tdnet_offline.frames import Frame, RefusedFrame, open_source

Predict = Callable[..., int]


def refused(path: Path) -> list[str]:
    """The reasons of all frames that cannot be used; not one can."""
    frames = list(open_source(path))
    assert frames
    assert all(isinstance(frame, RefusedFrame) for frame in frames)
    return [frame.reason for frame in frames if isinstance(frame, RefusedFrame)]


def bag(path: Path, mode: CompressionMode = CompressionMode.NONE, storage: str = "MCAP") -> Path:
    """A bag of one image with many zeros; compressed, unless the mode is none."""
    writer = Writer(path, version=8, storage_plugin=StoragePlugin[storage])
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        name = "sensor_msgs/msg/Image"
        connection = writer.add_connection("/image", name, typestore=TYPES)
        message = raw_message(np.zeros((400, 400, 3), np.uint8), 1)
        writer.write(connection, 1, TYPES.serialize_cdr(message, name))
    return path


class TestFiles:
    @pytest.mark.parametrize("name", ["a.png", "a.mp4", "a.mcap", "a.db3", "a.bag"])
    def test_a_pipe_is_not_waited_for(self, name: str, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError, match="a pipe, a device"):
            open_source(tmp_path / name)

    def test_a_device_is_not_read(self) -> None:
        with pytest.raises(InputError, match="a pipe, a device"):
            open_source("/dev/zero")

    @pytest.mark.parametrize("name", ["pipe.mcap", "pipe.db3"])
    def test_a_pipe_within_a_bag_is_not_waited_for(self, name: str, tmp_path: Path) -> None:
        folder = bag(tmp_path / "bag")
        os.mkfifo(folder / name)
        with pytest.raises(InputError, match="a pipe, a device"):
            open_source(folder)


class TestImages:
    def test_a_huge_image_file_is_not_read(self, tmp_path: Path, predict: Predict) -> None:
        folder = folder_of(tmp_path / "images", drive(2))
        with (folder / "huge.png").open("wb") as file:
            file.truncate(MAX_FILE_BYTES + 1)
        frames = list(open_source(folder))
        assert [isinstance(frame, Frame) for frame in frames] == [True, True, False]
        assert f"allowed are {MAX_FILE_BYTES}" in frames[2].reason
        assert predict(folder) == 1

    def test_a_name_cannot_act_upon_the_terminal(
        self, tmp_path: Path, predict: Predict, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "images").mkdir()
        (tmp_path / "images" / "\x1b[2J.png").write_bytes(b"no image")
        assert predict(tmp_path / "images") == 1
        output = capsys.readouterr()
        assert "\x1b[2J" not in output.out + output.err
        assert r"refused \x1b[2J.png" in output.err


class TestVideos:
    def test_a_list_of_other_files_is_no_video(self, tmp_path: Path) -> None:
        write_video(tmp_path / "secret.mp4", drive(3))
        lists = {
            "concat.mp4": "ffconcat version 1.0\nfile secret.mp4\n",
            "hls.mp4": "#EXTM3U\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n",
            "session.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
            "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
            "text.txt": "hello\n" * 1000,
        }
        for name, text in lists.items():
            (tmp_path / name).write_text(text)
            with pytest.raises(InputError, match="not a video"):
                open_source(tmp_path / name)

    def test_frames_above_the_limit_are_refused(self, tmp_path: Path) -> None:
        with av.open(str(tmp_path / "wide.avi"), "w") as video:
            stream = video.add_stream("ffv1", rate=5)
            stream.width, stream.height, stream.pix_fmt = MAX_SIDE + 2, 2, "yuv420p"
            image = np.zeros((2, MAX_SIDE + 2, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            video.mux([*stream.encode(frame), *stream.encode()])
        (reason,) = refused(tmp_path / "wide.avi")
        assert f"allowed are sides of {MAX_SIDE}" in reason


@pytest.mark.parametrize("mode", list(CompressionMode))
def test_a_compressed_bag_is_read(mode: CompressionMode, tmp_path: Path) -> None:
    (frame,) = open_source(bag(tmp_path / "bag", mode))
    assert isinstance(frame, Frame)
    assert not frame.image.any()


@pytest.mark.parametrize("name", ["%2e%2e%2fother.db3", "a?b#c.db3"])
def test_a_name_is_no_address(name: str, tmp_path: Path) -> None:
    folder = bag(tmp_path / "bag", storage="SQLITE3")
    metadata = folder / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("bag.db3", f"'{name}'"))
    file = (folder / "bag.db3").rename(folder / name)
    (tmp_path / "other.db3").write_bytes(b"not to be read")
    folder = folder.rename(tmp_path / "bag#1 100%?")
    for source in (folder, folder / file.name):
        (frame,) = open_source(source)
        assert isinstance(frame, Frame)


def test_metadata_of_absurd_size_are_not_read(tmp_path: Path) -> None:
    folder = bag(tmp_path / "bag")
    with (folder / "metadata.yaml").open("r+b") as file:
        file.truncate(MAX_METADATA_BYTES + 1)
    with pytest.raises(InputError, match=f"allowed are {MAX_METADATA_BYTES}"):
        open_source(folder)


def test_a_bag_with_images_of_its_own_definition(tmp_path: Path) -> None:
    types = get_typestore(Stores.EMPTY)
    name = "sensor_msgs/msg/Image"
    types.register(get_types_from_msg("string encoding\nstring height", name))
    with Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/image", name, typestore=types)
        message = types.types[name](encoding="rgb8", height="\x1b[2J")
        writer.write(connection, 1, types.serialize_cdr(message, name))
    (reason,) = refused(tmp_path / "bag")
    assert "the message is damaged" in reason


def test_the_text_of_a_weights_file_cannot_act_upon_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"note\x1b[2J": "\x1b]0;title\x07"})
    assert main(["info", str(path)]) == 0
    output = capsys.readouterr().out
    assert r"note\x1b[2J:" in output
    assert r"\x1b]0;title\x07" in output
    assert "\x1b" not in output


def test_code_in_a_definition_is_not_run(tmp_path: Path) -> None:
    # rosbags makes Python code of the definitions in a bag.
    name = "sensor_msgs/msg/Image"
    trap = tmp_path / "trap"
    call = f"__import__('os').mkdir('{trap}')"
    definition, _ = TYPES.generate_msgdef(name, ros_version=2)
    hostile = [f"string X={quote};{call}#" for quote in ("'\\'", '"\\"', "'" * 3, "\\\\'")]
    hostile += [f"uint8 x={call}", f"uint8 {call}", f"{call} x", f"uint8 X={call}"]
    for number, line in enumerate(hostile):
        folder = tmp_path / str(number)
        with Writer(folder, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
            text = f"{line}\n{definition}"
            digest = TYPES.hash_rihs01(name)
            connection = writer.add_connection("/image", name, msgdef=text, rihs01=digest)
            message = TYPES.serialize_cdr(raw_message(drive(1)[0], 1), name)
            writer.write(connection, 1, message)
        with suppress(InputError):
            list(open_source(folder))
        assert not trap.exists(), line
