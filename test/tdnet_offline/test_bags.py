"""Bags: what is written is read again, by us and as ROS expects it; damage costs what it hit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag1 import Writer as Rosbag1Writer
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore
from support.bag_messages import read_messages
from support.media import damage_bag

from tdnet.errors import InputError
from tdnet_offline.bags import (
    STORAGES,
    BagWriter,
    camera_info_message,
    image_message,
    image_topics,
    message_types,
    open_bag,
)
from tdnet_offline.frames import RefusedFrame, open_source

FRAMES = 5
START = 1_700_000_000_000_000_000
STORAGE_FILES = {"sqlite3": ".db3", "mcap": ".mcap"}
MESSAGES = Path(__file__).parents[2] / "msg"


def picture(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (24, 33, 3), dtype=np.uint8)


def write_bag(path: Path, storage: str) -> Path:
    types = message_types()
    matrix = np.array([[20.0, 0.0, 16.0], [0.0, 20.0, 11.5], [0.0, 0.0, 1.0]])
    with BagWriter(path, types, storage) as bag:
        for index in range(FRAMES):
            stamp = START + index * 100_000_001
            image = image_message(types, picture(index), "rgb8", stamp, "camera")
            info = camera_info_message(types, (24, 33), matrix, stamp, "camera")
            bag.write("/camera/image_raw", image, stamp + 5)
            bag.write("/camera/camera_info", info, stamp + 5)
    return path


def compressed_image(types: Typestore, data: bytes, stamp_ns: int) -> Any:
    stamp = types.types["builtin_interfaces/msg/Time"](sec=0, nanosec=stamp_ns)
    header = types.types["std_msgs/msg/Header"](stamp=stamp, frame_id="front")
    message = types.types["sensor_msgs/msg/CompressedImage"]
    return message(header=header, format="jpeg", data=np.frombuffer(data, np.uint8))


def storage_file(bag: Path) -> Path:
    return next(file for file in bag.iterdir() if file.suffix in STORAGE_FILES.values())


@pytest.mark.parametrize("storage", STORAGES)
def test_images_come_back_as_written(tmp_path: Path, storage: str) -> None:
    bag = write_bag(tmp_path / "bag", storage)
    found = list(read_messages(bag, ["/camera/image_raw"]))
    assert len(found) == FRAMES
    for index, entry in enumerate(found):
        message = entry.message
        stamp = message.header.stamp
        assert entry.stamp_ns == START + index * 100_000_001 + 5
        assert stamp.sec * 10**9 + stamp.nanosec == START + index * 100_000_001
        assert (message.encoding, message.step, message.header.frame_id) == ("rgb8", 99, "camera")
        pixels = np.frombuffer(message.data, np.uint8).reshape(24, 33, 3)
        np.testing.assert_array_equal(pixels, picture(index))


@pytest.mark.parametrize("storage", STORAGES)
def test_topics_are_read_in_the_order_of_time(tmp_path: Path, storage: str) -> None:
    bag = write_bag(tmp_path / "bag", storage)
    stamps = [m.stamp_ns for m in read_messages(bag, ["/camera/image_raw", "/camera/camera_info"])]
    assert len(stamps) == 2 * FRAMES
    assert stamps == sorted(stamps)


def test_camera_info_holds_the_camera(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", "sqlite3")
    info = next(iter(read_messages(bag, ["/camera/camera_info"]))).message
    assert (info.height, info.width, info.distortion_model) == (24, 33, "plumb_bob")
    assert info.k.tolist() == [20.0, 0.0, 16.0, 0.0, 20.0, 11.5, 0.0, 0.0, 1.0]
    assert info.p.tolist() == [20.0, 0.0, 16.0, 0.0, 0.0, 20.0, 11.5, 0.0, 0.0, 0.0, 1.0, 0.0]
    assert info.r.tolist() == np.eye(3).ravel().tolist()


@pytest.mark.parametrize("storage", STORAGES)
def test_metadata_is_what_humble_and_later_read(tmp_path: Path, storage: str) -> None:
    bag = write_bag(tmp_path / "bag", storage)
    metadata = yaml.safe_load((bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert metadata["version"] == 8
    assert metadata["storage_identifier"] == storage
    assert metadata["relative_file_paths"] == [storage_file(bag).name]
    assert metadata["message_count"] == 2 * FRAMES
    topic = metadata["topics_with_message_count"][0]["topic_metadata"]
    assert topic["type"] == "sensor_msgs/msg/Image"
    assert topic["serialization_format"] == "cdr"
    # A string up to version 8; its numbers are those of rmw.
    profile = yaml.safe_load(topic["offered_qos_profiles"])[0]
    assert (profile["reliability"], profile["durability"], profile["history"]) == (1, 2, 1)
    assert topic["type_description_hash"].startswith("RIHS01_")


def test_a_latched_topic_says_so(tmp_path: Path) -> None:
    types = message_types()
    text = types.types["std_msgs/msg/String"](data="hello")
    with BagWriter(tmp_path / "bag", types) as bag:
        bag.write("/map", text, START, latched=True)
    metadata = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())
    topics = metadata["rosbag2_bagfile_information"]["topics_with_message_count"]
    profile = yaml.safe_load(topics[0]["topic_metadata"]["offered_qos_profiles"])[0]
    assert profile["durability"] == 1


def test_compressed_images_are_image_topics(tmp_path: Path) -> None:
    types = message_types()
    image = compressed_image(types, b"\xff\xd8jpeg", 7)
    with BagWriter(tmp_path / "bag", types, "mcap") as bag:
        bag.write("/front/image/compressed", image, START)
        bag.write("/chatter", types.types["std_msgs/msg/String"](data="x"), START)
    kind = "sensor_msgs/msg/CompressedImage"
    with open_bag(tmp_path / "bag") as bag:
        assert image_topics(bag) == {"/front/image/compressed": kind}
    message = next(iter(read_messages(tmp_path / "bag", ["/front/image/compressed"]))).message
    assert (bytes(message.data), message.format) == (b"\xff\xd8jpeg", "jpeg")


@pytest.mark.parametrize("storage", STORAGES)
def test_messages_of_the_project_are_written_and_read(tmp_path: Path, storage: str) -> None:
    types = message_types({"tdnet_ros": MESSAGES})
    color = types.types["std_msgs/msg/ColorRGBA"](r=1.0, g=0.5, b=0.0, a=1.0)
    road = types.types["tdnet_ros/msg/SegmentationClass"](
        id=3, name="road", color=color, hidden=False
    )
    with BagWriter(tmp_path / "bag", types, storage) as bag:
        bag.write("/class", road, START)
    # The bag defines its own types: the reader need not know them.
    entry = next(iter(read_messages(tmp_path / "bag", ["/class"])))
    assert entry.type == "tdnet_ros/msg/SegmentationClass"
    assert (entry.message.id, entry.message.name, entry.message.color.g) == (3, "road", 0.5)


def test_unfit_message_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{tmp_path}: no .msg files"):
        message_types({"mine": tmp_path})
    (tmp_path / "Broken.msg").write_text("uint8[ what\n")
    with pytest.raises(InputError, match=f"{tmp_path}: not message definitions"):
        message_types({"mine": tmp_path})


@pytest.mark.parametrize(
    ("array", "encoding", "message"),
    [
        pytest.param(np.zeros((2, 3), np.uint8), "rgb8", "3 channel", id="grey as rgb8"),
        pytest.param(np.zeros((2, 3, 3), np.uint8), "mono8", "1 channel", id="colour as mono8"),
        pytest.param(np.zeros((2, 3), np.float32), "mono8", "float32", id="floats"),
        pytest.param(np.zeros((2, 3), np.uint8), "mono16", "use mono8", id="other encoding"),
    ],
)
def test_an_array_that_does_not_fit_is_refused(
    array: np.ndarray, encoding: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        image_message(message_types(), array, encoding, START, "camera")


def test_a_ros1_bag_is_read(tmp_path: Path) -> None:
    types: Any = get_typestore(Stores.ROS1_NOETIC)
    text = types.types["std_msgs/msg/String"](data="from ROS 1")
    with Rosbag1Writer(tmp_path / "old.bag") as bag:
        connection = bag.add_connection("/chatter", text.__msgtype__, typestore=types)
        bag.write(connection, START, types.serialize_ros1(text, text.__msgtype__))
    found = list(read_messages(tmp_path / "old.bag", ["/chatter"]))
    assert [entry.message.data for entry in found] == ["from ROS 1"]


def test_an_existing_folder_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists already; remove it"):
        BagWriter(tmp_path, message_types())


@pytest.mark.parametrize("character", ["#", "?", "%"])
def test_a_path_that_sqlite3_would_read_as_a_uri_is_refused(
    tmp_path: Path, character: str
) -> None:
    path = tmp_path / f"run{character}1"
    with pytest.raises(InputError, match="use another folder or --storage mcap"):
        write_bag(path, "sqlite3")
    assert list(tmp_path.iterdir()) == []
    assert len(list(read_messages(write_bag(path, "mcap"), ["/camera/image_raw"]))) == FRAMES


def test_an_unknown_storage_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown storage 'hdf5'; use sqlite3 or mcap"):
        BagWriter(tmp_path / "bag", message_types(), "hdf5")


def test_a_bag_is_finished_when_writing_fails(tmp_path: Path) -> None:
    types = message_types()

    def fail_after_one_message() -> None:
        with BagWriter(tmp_path / "b", types) as bag:
            bag.write("/chatter", types.types["std_msgs/msg/String"](data="kept"), START)
            raise RuntimeError("the camera fell off")

    with pytest.raises(RuntimeError, match="camera"):
        fail_after_one_message()
    assert [m.message.data for m in read_messages(tmp_path / "b", ["/chatter"])] == ["kept"]


def test_a_missing_bag_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: no such bag; give a bag's folder"):
        list(read_messages(tmp_path / "nowhere", ["/x"]))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("notes.txt", b"hello", id="text"),
        pytest.param("a.mcap", b"", id="empty mcap"),
        pytest.param("a.mcap", b"not mcap at all, just bytes", id="other bytes as mcap"),
        pytest.param("a.db3", b"", id="empty sqlite3"),
        pytest.param("a.db3", b"x" * 5000, id="other bytes as sqlite3"),
        pytest.param("a.bag", b"#ROSBAG V2.0\n", id="cut ROS 1 bag"),
    ],
)
def test_what_is_no_bag_is_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="not a bag that can be read") as caught:
        list(read_messages(tmp_path / name, ["/x"]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("storage", STORAGES)
def test_a_bag_without_metadata_is_read(tmp_path: Path, storage: str) -> None:
    """As a recorder leaves it that was killed before it wrote them."""
    bag = write_bag(tmp_path / "bag", storage)
    (bag / "metadata.yaml").unlink()
    assert len(list(read_messages(bag, ["/camera/image_raw"]))) == FRAMES


def test_a_split_bag_without_metadata_names_the_remedy(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", "mcap")
    (bag / "metadata.yaml").unlink()
    shutil.copy(storage_file(bag), bag / "bag_1.mcap")
    with pytest.raises(InputError, match="metadata .*`ros2 bag reindex` rebuilds"):
        list(read_messages(bag, ["/camera/image_raw"]))


@pytest.mark.parametrize("share", [0.35, 0.75], ids=lambda share: f"cut at {share:.0%}")
@pytest.mark.parametrize("storage", STORAGES)
def test_a_truncated_bag_names_the_remedy(tmp_path: Path, storage: str, share: float) -> None:
    bag = write_bag(tmp_path / "bag", storage)
    file = storage_file(bag)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match="not a bag that can be read .*`mcap recover`") as caught:
        list(read_messages(bag, ["/camera/image_raw"]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", [1, 1037])
def test_a_bag_that_lacks_a_part_of_its_last_page_is_refused(tmp_path: Path, missing: int) -> None:
    """SQLite reads the missing bytes as zeros."""
    bag = write_bag(tmp_path / "bag", "sqlite3")
    file = storage_file(bag)
    file.write_bytes(file.read_bytes()[:-missing])
    for path in (bag, file):
        with pytest.raises(InputError, match="not a bag that can be read .the file is cut off."):
            list(read_messages(path, ["/camera/image_raw"]))


def test_messages_before_the_damage_are_read(tmp_path: Path) -> None:
    types, bag = message_types(), tmp_path / "bag"
    pictures = [np.random.default_rng(i).integers(0, 256, 30_000, np.uint8) for i in range(FRAMES)]
    with BagWriter(bag, types) as writer:
        for index, data in enumerate(pictures):
            image = compressed_image(types, data.tobytes(), index)
            writer.write("/front", image, index)
    damage_bag(bag, pictures[3].tobytes())
    messages = read_messages(bag, ["/front"])
    found = [bytes(next(messages).message.data) for _ in range(3)]
    assert found == [p.tobytes() for p in pictures[:3]]
    with pytest.raises(Exception):  # noqa: B017 - rosbags passes on any
        next(messages)


@pytest.fixture(scope="module", params=STORAGES)
def whole_bag(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(tmp_path_factory.mktemp("whole") / "bag", request.param)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damage_anywhere_never_gives_more_than_one_line(
    whole_bag: Path, data: st.DataObject
) -> None:
    damaged = whole_bag.with_name("damaged")
    shutil.rmtree(damaged, ignore_errors=True)
    shutil.copytree(whole_bag, damaged)
    file = storage_file(damaged)
    content = bytearray(file.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at : at + 8] = data.draw(st.binary(min_size=8, max_size=8))
    file.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        found = list(open_source(damaged, "/camera/image_raw"))
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert len(found) <= FRAMES + 1
        reasons = [frame.reason for frame in found if isinstance(frame, RefusedFrame)]
        assert not any("\n" in reason for reason in reasons)
