"""Every source gives its frames in order, and a word for each that is broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.typesys import Stores, get_typestore
from support.media import (
    SECOND,
    compressed_message,
    damage_bag,
    drive,
    raw_message,
    write_bag,
    write_image,
    write_video,
)

from tdnet.errors import InputError
from tdnet_offline.frames import Frame, FrameSource, RefusedFrame, open_source
from tdnet_offline.frames.image_files import natural_key


def good(source: FrameSource) -> list[Frame]:
    return [frame for frame in source if isinstance(frame, Frame)]


def refused(source: FrameSource) -> list[RefusedFrame]:
    return [frame for frame in source if isinstance(frame, RefusedFrame)]


class TestImageFiles:
    def test_natural_order_of_names(self, tmp_path: Path) -> None:
        images = drive(4)
        names = ["frame2.png", "frame10.png", "frame10b.PNG", "street 1 ü.png"]
        for name, image in zip(names, images, strict=True):
            write_image(tmp_path / name.lower(), image)
            (tmp_path / name.lower()).rename(tmp_path / name)
        (tmp_path / "notes.txt").write_text("not an image")
        (tmp_path / "._frame1.png").write_bytes(b"left by a file manager")
        (tmp_path / "deeper.png").mkdir()

        source = open_source(tmp_path)
        frames = good(source)

        assert [frame.name for frame in frames] == [Path(name).stem for name in names]
        assert source.num_frames == 4
        for frame, image in zip(frames, images, strict=True):
            np.testing.assert_array_equal(frame.image, image)
            assert frame.stamp_ns is None

    @given(numbers=st.lists(st.integers(0, 10**12), unique=True))
    def test_natural_order_is_the_order_of_the_numbers(self, numbers: list[int]) -> None:
        names = [f"left {number} image" for number in numbers]
        expected = [f"left {number} image" for number in sorted(numbers)]
        assert sorted(names, key=natural_key) == expected

    @given(names=st.lists(st.text()))
    def test_any_names_can_be_ordered(self, names: list[str]) -> None:
        assert len(sorted(names, key=natural_key)) == len(names)

    def test_a_single_image_is_a_source_too(self, tmp_path: Path) -> None:
        write_image(tmp_path / "one.jpg", drive(1)[0])
        assert [frame.name for frame in good(open_source(tmp_path / "one.jpg"))] == ["one"]

    def test_a_corrupt_image_in_the_middle_is_refused_by_name(self, tmp_path: Path) -> None:
        for index, image in enumerate(drive(3)):
            write_image(tmp_path / f"{index}.png", image)
        whole = (tmp_path / "1.png").read_bytes()
        (tmp_path / "1.png").write_bytes(whole[: len(whole) // 2])
        source = open_source(tmp_path)
        assert [frame.name for frame in good(source)] == ["0", "2"]
        assert [frame.name for frame in refused(source)] == ["1.png"]

    def test_an_empty_folder_says_what_it_looked_for(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"no images in this folder; allowed are \.png"):
            open_source(tmp_path)

    def test_names_that_would_overwrite_each_other_are_refused(self, tmp_path: Path) -> None:
        for name in ("a.png", "a.jpg"):
            write_image(tmp_path / name, drive(1)[0])
        with pytest.raises(InputError, match="labels of the same name"):
            open_source(tmp_path)


class TestVideoFile:
    @pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
    def test_gives_all_frames_with_their_times(self, tmp_path: Path, name: str) -> None:
        images = drive(12)
        source = open_source(write_video(tmp_path / name, images))
        frames = good(source)
        assert [frame.name for frame in frames] == [f"{index:06d}" for index in range(12)]
        assert [frame.stamp_ns for frame in frames] == [
            index * SECOND // 10 for index in range(12)
        ]
        assert source.frame_rate == 10
        assert refused(source) == []
        for frame, image in zip(frames, images, strict=True):
            # The colours of a lossy video are near, and in the right place.
            assert np.abs(frame.image.astype(int) - image).mean() < 25
            assert frame.image.shape == image.shape

    @pytest.mark.parametrize(
        ("name", "options"),
        [("a.mp4", {"movflags": "faststart"}), ("a.mkv", {}), ("a.avi", {})],
        ids=["index in front", "mkv", "avi"],
    )
    def test_a_cut_off_video_gives_its_frames_and_says_so(
        self, tmp_path: Path, name: str, options: dict[str, str]
    ) -> None:
        path = write_video(tmp_path / name, drive(40), options=options)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 7 // 10])
        source = open_source(path)
        assert 10 < len(good(source)) < 40
        assert refused(source)
        reason = refused(source)[-1].reason
        assert reason in (
            "the video ends early: the file is cut off here",
            "a part of the frame is missing",
        )

    def test_a_damaged_frame_is_refused_and_the_next_ones_follow(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.avi", drive(40))
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 60] = bytes(byte ^ 0x5A for byte in content[middle:][:60])
        path.write_bytes(content)
        frames = list(open_source(path))
        broken = sum(isinstance(frame, RefusedFrame) for frame in frames)
        assert 1 <= broken <= 3
        assert len(frames) - broken >= 37
        assert isinstance(frames[-1], Frame)

    @pytest.mark.parametrize(
        "content", [b"", b"no video", bytes(5000)], ids=["empty", "text", "zeros"]
    )
    def test_another_file_is_refused(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.mp4").write_bytes(content)
        with pytest.raises(InputError, match="not a video|is empty"):
            open_source(tmp_path / "a.mp4")

    def test_a_video_without_its_index_is_refused(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", drive(20))
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(InputError, match="cut off"):
            open_source(path)


class TestBagImages:
    @pytest.mark.parametrize("storage", list(StoragePlugin), ids=lambda item: item.name.lower())
    def test_gives_the_pixels_stamps_and_frame_ids(
        self, tmp_path: Path, storage: StoragePlugin
    ) -> None:
        images = drive(3)
        stamps = [5 * SECOND + 7, 6 * SECOND, 4 * SECOND]
        messages = [
            ("/camera/image_raw", raw_message(image, stamp))
            for image, stamp in zip(images, stamps, strict=True)
        ]
        source = open_source(write_bag(tmp_path / "drive é", messages, storage))
        frames = good(source)
        assert source.num_frames == 3
        assert [frame.stamp_ns for frame in frames] == stamps
        assert [frame.name for frame in frames] == [
            f"{index:06d}_{stamp}" for index, stamp in enumerate(stamps)
        ]
        for frame, image in zip(frames, images, strict=True):
            assert frame.frame_id == "camera"
            np.testing.assert_array_equal(frame.image, image)

    def test_a_ros_1_bag_and_a_single_file_of_a_ros_2_bag(self, tmp_path: Path) -> None:
        images = drive(2)
        types = get_typestore(Stores.ROS1_NOETIC)
        kind = "sensor_msgs/msg/Image"
        with Writer1(tmp_path / "old.bag") as writer:
            connection = writer.add_connection("/image", kind, typestore=types)
            for index, image in enumerate(images):
                header = types.types["std_msgs/msg/Header"](
                    seq=index,
                    stamp=types.types["builtin_interfaces/msg/Time"](sec=index, nanosec=5),
                    frame_id="old camera",
                )
                message = raw_message(image, 0, header=header)
                writer.write(connection, index, types.serialize_ros1(message, kind))
        messages = [("/image", raw_message(image, i)) for i, image in enumerate(images)]
        folder = write_bag(tmp_path / "new", messages, StoragePlugin.MCAP)
        (single,) = folder.glob("*.mcap")

        for path, stamps in ((tmp_path / "old.bag", [5, SECOND + 5]), (single, [0, 1])):
            frames = good(open_source(path))
            assert [frame.stamp_ns for frame in frames] == stamps
            for frame, image in zip(frames, images, strict=True):
                np.testing.assert_array_equal(frame.image, image)

    @pytest.mark.parametrize(
        ("encoding", "channels", "back"),
        [
            ("bgr8", 3, cv2.COLOR_RGB2BGR),
            ("rgba8", 4, cv2.COLOR_RGB2RGBA),
            ("bgra8", 4, cv2.COLOR_RGB2BGRA),
        ],
    )
    def test_converts_encodings_and_crops_padded_rows(
        self, tmp_path: Path, encoding: str, channels: int, back: int
    ) -> None:
        image = drive(1)[0]
        rows = cv2.cvtColor(image, back).reshape(image.shape[0], -1)
        padded = np.pad(rows, ((0, 0), (0, 13)), constant_values=99)
        message = raw_message(
            image, 0, encoding=encoding, step=padded.shape[1], data=padded.reshape(-1)
        )
        assert padded.shape[1] == image.shape[1] * channels + 13
        (frame,) = good(open_source(write_bag(tmp_path / "bag", [("/image", message)])))
        np.testing.assert_array_equal(frame.image, image)

    def test_compressed_images(self, tmp_path: Path) -> None:
        images = drive(2)
        messages = []
        for index, image in enumerate(images):
            ok, data = cv2.imencode(".png", image[..., ::-1])
            assert ok
            messages.append(
                (
                    "/image/compressed",
                    compressed_message(data.tobytes(), "rgb8; png compressed bgr8", index),
                )
            )
        frames = good(open_source(write_bag(tmp_path / "bag", messages)))
        for frame, image in zip(frames, images, strict=True):
            np.testing.assert_array_equal(frame.image, image)

    def test_broken_messages_are_refused_one_by_one(self, tmp_path: Path) -> None:
        image = drive(1)[0]
        lies: list[dict[str, Any]] = [
            {},
            {"height": 0},
            {"step": 10},
            {"encoding": "rgb9"},
            {"encoding": "bayer_rggb8", "step": image.shape[1], "height": 144},
            {"data": np.zeros(5, np.uint8)},
            {"width": 2**31, "height": 2**31},
            {},
        ]
        messages = [("/image", raw_message(image, index, **lie)) for index, lie in enumerate(lies)]
        source = open_source(write_bag(tmp_path / "bag", messages))
        assert [frame.name for frame in good(source)] == ["000000_0", "000007_7"]
        assert [frame.name for frame in refused(source)] == [
            f"{index:06d}_{index}" for index in range(1, 7)
        ]
        assert all("\n" not in frame.reason for frame in refused(source))

    @pytest.mark.parametrize("content", [b"", b"no bag"], ids=["empty", "text"])
    @pytest.mark.parametrize("suffix", [".db3", ".mcap", ".bag"])
    def test_another_file_is_refused(self, tmp_path: Path, suffix: str, content: bytes) -> None:
        path = tmp_path / f"file{suffix}"
        path.write_bytes(content)
        with pytest.raises(InputError, match="not a bag that can be read|is empty"):
            open_source(path)

    def test_a_damaged_bag_gives_the_frames_before_the_damage(self, tmp_path: Path) -> None:
        images = drive(20)
        messages = [("/image", raw_message(image, index)) for index, image in enumerate(images)]
        path = write_bag(tmp_path / "bag", messages)
        damage_bag(path, images[12].tobytes())
        source = open_source(path)
        for index, (frame, image) in enumerate(zip(good(source), images[:12], strict=True)):
            assert frame.stamp_ns == index
            np.testing.assert_array_equal(frame.image, image)
        assert [frame.name for frame in refused(source)] == ["000012"]
        assert "the bag is damaged" in refused(source)[0].reason

    def test_topics_are_listed_where_one_must_be_chosen(self, tmp_path: Path) -> None:
        image = drive(1)[0]
        path = write_bag(
            tmp_path / "bag", [("/rear", raw_message(image, 0)), ("/front", raw_message(image, 0))]
        )
        with pytest.raises(InputError, match="image topics in this bag: /front, /rear"):
            open_source(path)
        with pytest.raises(InputError, match="no topic '/left'.*: /front, /rear"):
            open_source(path, "/left")
        assert len(good(open_source(path, "/rear"))) == 1

    def test_a_topic_of_another_type_is_refused(self, tmp_path: Path) -> None:
        header = raw_message(drive(1)[0], 0).header
        path = write_bag(tmp_path / "bag", [("/header", header)])
        with pytest.raises(InputError, match="holds std_msgs/msg/Header, not images"):
            open_source(path, "/header")
        with pytest.raises(InputError, match="image topics in this bag: none"):
            open_source(path)


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing here: no such file or folder"):
        open_source(tmp_path / "nothing here")


def test_only_bags_have_topics(tmp_path: Path) -> None:
    write_image(tmp_path / "0.png", drive(1)[0])
    with pytest.raises(InputError, match="only a bag has topics"):
        open_source(tmp_path, "/image")
