"""What a stranger's bag, video or image may do to the offline command: cost one line."""

from __future__ import annotations

import bz2
import os
import re
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import av
import lz4.frame
import numpy as np
import pytest
import torch
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from safetensors.torch import save_file
from support.media import TYPES, drive, folder_of, raw_message, write_video

from tdnet.errors import InputError
from tdnet.frames.image_files import MAX_FILE_BYTES, MAX_SIDE
from tdnet_offline.bags import salvage_mcap, unpacking
from tdnet_offline.bags.reading import MAX_METADATA_BYTES
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


class TestCompressedBags:
    @pytest.mark.parametrize("storage", ["MCAP", "SQLITE3"])
    def test_a_message_that_grows_is_refused(
        self, storage: str, tmp_path: Path, small_limit: None
    ) -> None:
        folder = bag(tmp_path / "bag", CompressionMode.MESSAGE, storage)
        assert "unpack to more than 100000" in refused(folder)[0]

    def test_a_chunk_that_grows_is_refused(self, tmp_path: Path, small_limit: None) -> None:
        folder = bag(tmp_path / "bag", CompressionMode.STORAGE)
        assert "unpack to more than 100000" in refused(folder)[0]
        (file,) = folder.glob("*.mcap")
        with pytest.raises(ValueError, match="unpack to more than 100000"):
            list(salvage_mcap.records(file))

    def test_a_chunk_within_a_chunk_is_refused(self, tmp_path: Path) -> None:
        def record(kind: int, data: bytes) -> bytes:
            return struct.pack("<BQ", kind, len(data)) + data

        chunk = record(5, bytes(22))
        for _ in range(2):
            chunk = record(6, struct.pack("<QQQIIQ", 0, 0, len(chunk), 0, 0, len(chunk)) + chunk)
        (tmp_path / "a.mcap").write_bytes(b"\x89MCAP0\r\n" + chunk)
        with pytest.raises(ValueError, match="a chunk within a chunk"):
            list(salvage_mcap.records(tmp_path / "a.mcap"))

    def test_a_file_that_grows_beyond_the_disk_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = bag(tmp_path / "bag", CompressionMode.FILE)
        assert isinstance(next(iter(open_source(folder))), Frame)
        monkeypatch.setattr(unpacking, "MAX_DISK_SHARE", 0)
        with pytest.raises(InputError, match="more than 0% of the free disk space"):
            open_source(folder)

    @pytest.mark.parametrize("mode", list(CompressionMode))
    def test_what_is_within_the_limits_is_read(
        self, mode: CompressionMode, tmp_path: Path
    ) -> None:
        (frame,) = open_source(bag(tmp_path / "bag", mode))
        assert isinstance(frame, Frame)
        assert not frame.image.any()

    @pytest.fixture
    def small_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # The real one takes seconds and a gigabyte to reach.
        monkeypatch.setattr(unpacking, "MAX_UNPACKED_BYTES", 100_000)


zstd = Writer.__init__.__globals__["zstd"]  # of Python or of a package, by version


@pytest.mark.parametrize("codec", ["zstd", "lz4", "bz2"])
def test_packed_data_are_unpacked_and_broken_ones_refused(codec: str) -> None:
    pack = {"zstd": zstd.compress, "lz4": lz4.frame.compress, "bz2": bz2.compress}[codec]
    data = bytes(range(256)) * 100
    assert unpacking.unpack(codec, pack(data)) == data
    for broken in (pack(data)[:-4], pack(data) * 2, b"", b"none"):
        with pytest.raises((ValueError, OSError, RuntimeError, EOFError, zstd.ZstdError)):
            unpacking.unpack(codec, broken)


# SQLite computes what a query asks for: a table may be a program.
SCHEMAS = {
    "view": """
        CREATE VIEW topics AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
          SELECT x AS id, 't' || x AS name, 'sensor_msgs/msg/Image' AS type FROM n;
        CREATE TABLE messages (id INTEGER, topic_id INTEGER, timestamp INTEGER, data BLOB);
    """,
    "computed column": """
        CREATE TABLE topics (id INTEGER, name TEXT, type TEXT, serialization_format TEXT);
        INSERT INTO topics VALUES (1, '/image', 'sensor_msgs/msg/Image', 'cdr');
        CREATE TABLE messages (id INTEGER, topic_id INTEGER, timestamp INTEGER,
          data BLOB AS (zeroblob(900000000)));
        INSERT INTO messages (id, topic_id, timestamp) VALUES (1, 1, 1);
    """,
    "virtual table": """
        CREATE VIRTUAL TABLE messages USING fts4(id, topic_id, timestamp, data);
        CREATE TABLE topics (id INTEGER, name TEXT, type TEXT, serialization_format TEXT);
    """,
    # What the schema says of itself counts for nothing.
    "view that is listed as a table": """
        CREATE TABLE topics (id INTEGER, name TEXT, type TEXT, serialization_format TEXT);
        CREATE VIEW messages AS SELECT 1 AS id, 1 AS topic_id, 1 AS timestamp, x'' AS data;
        PRAGMA writable_schema = ON;
        UPDATE sqlite_master SET type = 'table' WHERE name = 'messages';
    """,
}


def rename_file(folder: Path, name: str) -> Path:
    """Give the file of a bag another name, in its metadata too."""
    (file,) = folder.glob("*.db3*")
    metadata = folder / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace(file.name, f"'{name}'"))
    return file.rename(folder / name)


def compute_messages(file: Path) -> None:
    """Replace the column of messages by one that is computed."""
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("""
            ALTER TABLE messages RENAME TO stored;
            CREATE TABLE messages (id INTEGER, topic_id INTEGER, timestamp INTEGER,
              data BLOB AS (zeroblob(1000)));
            INSERT INTO messages (id, topic_id, timestamp)
              SELECT id, topic_id, timestamp FROM stored;
        """)


class TestDatabases:
    @pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
    @pytest.mark.parametrize("in_folder", [False, True], ids=["file", "folder"])
    def test_a_database_that_computes_is_refused(
        self, schema: str, in_folder: bool, tmp_path: Path
    ) -> None:
        connection = sqlite3.connect(tmp_path / "bag_0.db3")
        connection.executescript(schema)
        connection.close()
        (tmp_path / "metadata.yaml").write_text("rosbag2_bagfile_information: {}")
        with pytest.raises(InputError, match="not a bag that can be read") as caught:
            open_source(tmp_path if in_folder else tmp_path / "bag_0.db3")
        # Without metadata the folder's files are read one by one.
        assert re.search("is not what a bag has|has computed columns", str(caught.value.__cause__))

    def test_another_suffix_hides_nothing(self, tmp_path: Path) -> None:
        folder = bag(tmp_path / "bag", storage="SQLITE3")
        compute_messages(rename_file(folder, "bag.data"))
        with pytest.raises(InputError, match="has computed columns"):
            open_source(folder)

    def test_compression_hides_nothing(self, tmp_path: Path) -> None:
        folder = bag(tmp_path / "bag", storage="SQLITE3")
        compute_messages(folder / "bag.db3")
        packed = bag(tmp_path / "packed", CompressionMode.FILE, "SQLITE3")
        (file,) = packed.glob("*.zstd")
        file.write_bytes(zstd.compress((folder / "bag.db3").read_bytes()))
        with pytest.raises(InputError, match="has computed columns"):
            open_source(packed)

    @pytest.mark.parametrize("name", ["%2e%2e%2fother.db3", "a?b#c.db3"])
    def test_a_name_is_no_address(self, name: str, tmp_path: Path) -> None:
        folder = bag(tmp_path / "bag", storage="SQLITE3")
        rename_file(folder, name)
        (tmp_path / "other.db3").write_bytes(b"not to be read")
        (frame,) = open_source(folder)
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
