"""Class maps as values: what the packaged ones say, tables, look-up, checks."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdnet.class_map.classes import SegmentationClass
from tdnet.class_map.model import ClassMap
from tdnet.errors import ClassMapError, TdnetError, UnknownNameError

CITYSCAPES = {
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "building": (70, 70, 70),
    "wall": (102, 102, 156),
    "fence": (190, 153, 153),
    "pole": (153, 153, 153),
    "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "terrain": (152, 251, 152),
    "sky": (70, 130, 180),
    "person": (220, 20, 60),
    "rider": (255, 0, 0),
    "car": (0, 0, 142),
    "truck": (0, 0, 70),
    "bus": (0, 60, 100),
    "train": (0, 80, 100),
    "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32),
}


@st.composite
def class_maps(draw: st.DrawFn) -> ClassMap:
    """Any class map: some channels merged, some left out, names in any script."""
    channels = draw(st.integers(1, 255))
    order = draw(st.permutations(range(channels)))
    names = st.text(min_size=1, max_size=64).filter(lambda s: s.isprintable() and s == s.strip())
    count = draw(st.integers(1, min(channels, 8)))
    cuts = sorted(draw(st.sets(st.integers(1, channels), min_size=count, max_size=count)))
    ids = draw(st.lists(st.integers(0, 254), min_size=count, max_size=count, unique=True))
    unique_names = draw(st.lists(names, min_size=count, max_size=count, unique=True))
    classes = [
        SegmentationClass(
            id=class_id,
            name=name,
            color=draw(st.tuples(*[st.integers(0, 255)] * 3)),
            sources=tuple(order[start:stop]),
            hidden=draw(st.booleans()),
        )
        for class_id, name, start, stop in zip(ids, unique_names, [0, *cuts], cuts, strict=False)
    ]
    return ClassMap(draw(names), tuple(classes), channels)


def two_classes(**second: object) -> ClassMap:
    fields = {"id": 1, "name": "b", "color": (4, 5, 6), "sources": (1,), **second}
    first = SegmentationClass(id=0, name="a", color=(1, 2, 3), sources=(0,))
    return ClassMap("two", (first, SegmentationClass(**fields)), 3)


def test_cityscapes_has_the_official_train_ids_and_colours() -> None:
    class_map = ClassMap.load("cityscapes")
    assert {entry.name: entry.color for entry in class_map.classes} == CITYSCAPES
    assert [entry.name for entry in class_map.classes] == list(CITYSCAPES)


def test_cityscapes_channels_become_camvids_classes_and_walls_none() -> None:
    class_map = ClassMap.load("camvid-from-cityscapes")
    camvid, cityscapes = ClassMap.load("camvid"), ClassMap.load("cityscapes")
    assert class_map.num_network_classes == 19
    for entry in camvid.classes:
        same = class_map.class_by_name(entry.name)
        assert (same.id, same.color) == (entry.id, entry.color)
    table = class_map.id_table
    assert table[cityscapes.class_by_name("wall").id] == 255
    assert table[cityscapes.class_by_name("terrain").id] == camvid.class_by_name("tree").id
    assert table[cityscapes.class_by_name("rider").id] == camvid.class_by_name("bicyclist").id
    assert {*table[:19].tolist()} == {*range(11), 255}


def test_camvid_has_its_eleven_classes_in_the_usual_order() -> None:
    class_map = ClassMap.load("camvid")
    names = "sky building pole road sidewalk tree sign_symbol fence car pedestrian bicyclist"
    assert [entry.name.replace(" ", "_") for entry in class_map.classes] == names.split()
    assert class_map.class_by_name("sky").color == (128, 128, 128)
    assert class_map.class_by_name("bicyclist").color == (0, 128, 192)


def test_nyudv2_has_forty_classes_counted_from_zero() -> None:
    class_map = ClassMap.load("nyudv2")
    names = {0: "wall", 1: "floor", 21: "ceiling", 30: "person", 36: "bag", 39: "otherprop"}
    assert {class_id: class_map.class_by_id(class_id).name for class_id in names} == names
    assert len(class_map.classes) == 40


@pytest.mark.parametrize("name", ["camvid", "cityscapes", "nyudv2"])
def test_packaged_map_is_one_class_a_channel_in_distinct_colours(name: str) -> None:
    class_map = ClassMap.load(name)
    count = class_map.num_network_classes
    assert class_map.name == name
    assert (
        class_map.id_table[:count].tolist()
        == list(range(count))
        == list(range(len(class_map.classes)))
    )
    assert len({entry.color for entry in class_map.classes}) == count
    assert not class_map.hidden_ids


def test_packaged_names() -> None:
    assert ClassMap.packaged_names() == [
        "camvid",
        "camvid-from-cityscapes",
        "cityscapes",
        "cityscapes-label-ids",
        "nyudv2",
    ]


@given(class_map=class_maps())
def test_yaml_round_trip(class_map: ClassMap) -> None:
    assert ClassMap.from_yaml(class_map.to_yaml(), "written") == class_map


@given(class_map=class_maps())
def test_tables_say_what_the_classes_say(class_map: ClassMap) -> None:
    expected_ids = [255] * 256
    expected_colors = [(0, 0, 0)] * 256
    for entry in class_map.classes:
        expected_colors[entry.id] = entry.color
        for channel in entry.sources:
            expected_ids[channel] = entry.id
    assert class_map.id_table.tolist() == expected_ids
    assert class_map.color_table.tolist() == [list(color) for color in expected_colors]
    assert class_map.id_table.dtype == class_map.color_table.dtype == np.uint8
    ids = [entry.id for entry in class_map.classes]
    assert ids == sorted(ids)


def test_tables_cannot_be_changed() -> None:
    class_map = ClassMap.load("camvid")
    with pytest.raises(ValueError, match="read-only"):
        class_map.id_table[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        class_map.color_table[0] = 1


def test_look_up() -> None:
    class_map = two_classes(id=7, hidden=True)
    assert class_map.class_by_id(7) is class_map.class_by_name("b")
    assert class_map.hidden_ids == {7}
    with pytest.raises(UnknownNameError, match="unknown class 'c'; valid: a, b"):
        class_map.class_by_name("c")
    with pytest.raises(UnknownNameError, match="unknown class id '1'; valid: 0, 7"):
        class_map.class_by_id(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": 0}, r"classes\[1\].id: got id 0, which class 'a' has already"),
        ({"id": 255}, r"id: got 255; allowed 0 to 254 \(255 is reserved"),
        ({"id": -1}, "id: got -1"),
        ({"name": "a"}, r"classes\[1\].name: got name 'a', which class 'a' has already"),
        ({"name": ""}, "name: got ''; allowed 1 to 64 printable"),
        ({"name": " b"}, "name: got ' b'"),
        ({"name": "b\n"}, r"name: got 'b\\n'"),
        ({"name": "b" * 65}, "name: got 'b"),
        ({"color": (0, 0, 256)}, r"color: got \[0, 0, 256\]; allowed \[red, green, blue\]"),
        ({"color": (0, 0)}, r"color: got \[0, 0\]"),
        ({"sources": ()}, r"from: got \[\]"),
        ({"sources": (0,)}, r"classes\[1\].from: got channel 0, which class 'a' has already"),
        ({"sources": (1, 1)}, r"classes\[1\].from: got channel 1, which class 'b' has already"),
        ({"sources": (3,)}, r"classes\[1\].from: got channel 3; allowed 0 to 2"),
    ],
    ids=str,
)
def test_impossible_class_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ClassMapError, match=message) as caught:
        two_classes(**change)
    assert isinstance(caught.value, TdnetError)


@pytest.mark.parametrize("channels", [0, 256])
def test_impossible_number_of_channels_is_refused(channels: int) -> None:
    classes = ClassMap.load("camvid").classes[:1]
    with pytest.raises(ClassMapError, match=f"network: got {channels} channels; allowed 1 to 255"):
        ClassMap("bad", classes, channels)


def test_map_without_classes_is_refused() -> None:
    with pytest.raises(ClassMapError, match="classes: got no class"):
        ClassMap("empty", (), 3)


def test_own_file_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + two_classes(name="stra\u00dfe").to_yaml().encode())
    assert ClassMap.load(path) == ClassMap.load(str(path)) == two_classes(name="straße")


def test_path_is_never_taken_for_a_packaged_name() -> None:
    with pytest.raises(ClassMapError, match="class map 'cityscapes': does not exist"):
        ClassMap.load(Path("cityscapes"))


@pytest.mark.parametrize("given_name", ["citscapes", "no/such.yaml", ".", "", "nul\0", "x" * 5000])
def test_missing_file_names_what_is_allowed(given_name: str) -> None:
    with pytest.raises(ClassMapError, match="class map '"):
        ClassMap.load(given_name)


def test_misspelt_name_gets_the_nearest() -> None:
    with pytest.raises(
        ClassMapError,
        match="allowed camvid, .*, cityscapes, cityscapes-label-ids, nyudv2 or .*did you mean",
    ):
        ClassMap.load("citscapes")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: a\nnetwork: 2\n# \xff\n", r"own.yaml.*is not UTF-8"),
        (b"", "own.yaml': is empty"),
        (b"# only a comment\n", "own.yaml:1: the file is empty"),
        (b"#" * 300_000, "own.yaml': has 300000 bytes; allowed are 262144"),
    ],
    ids=["not UTF-8", "empty", "only a comment", "many bytes"],
)
def test_unusable_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(content)
    with pytest.raises(ClassMapError, match=message):
        ClassMap.load(path)


@pytest.mark.parametrize("path", ["/dev/zero", "/proc/self/maps", "pipe", "."])
def test_what_is_no_plain_file_is_not_opened(path: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ClassMapError, match="a pipe, a device or the like|is empty|is a folder"):
        ClassMap.load(tmp_path / path)
