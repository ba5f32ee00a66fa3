"""Class maps as text: what a user can write, and what a mistake is answered with."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdnet.class_map.model import ClassMap
from tdnet.errors import ClassMapError

NUMBERED = """\
name: numbered
network: 3
classes:
  - {id: 0, name: free, color: [0, 255, 0], from: [0, 2]}
  - id: 9
    name: occupied
    color: [255, 0, 0]
    from: [1]
"""


def read(text: str) -> ClassMap:
    return ClassMap.from_yaml(text, "own.yaml")


def on_cityscapes(*classes: str, rest: str = "rest: keep") -> str:
    lines = ["name: own", "network: cityscapes", rest, "classes:", *(f"  - {c}" for c in classes)]
    return "\n".join(lines)


def test_numbered_channels_are_merged() -> None:
    class_map = read(NUMBERED)
    assert class_map.num_network_classes == 3
    assert class_map.id_table[:4].tolist() == [0, 9, 0, 255]
    assert class_map.color_table[9].tolist() == [255, 0, 0]


def test_change_to_a_packaged_map_keeps_the_rest() -> None:
    base = ClassMap.load("cityscapes")
    class_map = read(on_cityscapes("{name: lane, from: [road]}", "{name: sky, hidden: true}"))
    assert [c.name for c in class_map.classes][:3] == ["lane", "sidewalk", "building"]
    assert class_map.class_by_name("lane").color == base.class_by_name("road").color
    assert class_map.hidden_ids == {base.class_by_name("sky").id}
    assert class_map.id_table.tolist() == base.id_table.tolist()
    assert class_map.color_table.tolist() == base.color_table.tolist()


def test_merged_classes_take_what_is_left_out_from_the_first() -> None:
    class_map = read(on_cityscapes("{name: vehicle, from: [truck, car, bus]}"))
    truck = ClassMap.load("cityscapes").class_by_name("truck")
    assert class_map.class_by_name("vehicle").id == truck.id
    assert class_map.class_by_name("vehicle").color == truck.color
    assert class_map.id_table[13:17].tolist() == [14, 14, 14, 16]
    assert len(class_map.classes) == 17


def test_merged_classes_of_the_network_stay_merged() -> None:
    text = "name: own\nnetwork: camvid-from-cityscapes\nrest: {}\nclasses:\n  - {{name: {}}}\n"
    class_map = read(text.format("keep", "vehicle, from: [car, road]"))
    assert class_map.class_by_name("vehicle").sources == (13, 14, 15, 16, 0)
    assert "car" not in [entry.name for entry in class_map.classes]
    (tree,) = read(text.format("unlabelled", "tree")).classes
    assert tree.sources == (8, 9)


def test_rest_can_become_unlabelled() -> None:
    text = on_cityscapes("{name: ground, id: 1, color: [9, 9, 9], from: [road, terrain]}")
    class_map = read(text.replace("keep", "unlabelled"))
    assert [c.name for c in class_map.classes] == ["ground"]
    assert class_map.id_table[:19].tolist() == [1, *[255] * 8, 1, *[255] * 9]


def test_ids_of_the_network_can_be_swapped() -> None:
    class_map = read(on_cityscapes("{name: road, id: 1}", "{name: sidewalk, id: 0}"))
    assert class_map.id_table[:3].tolist() == [1, 0, 2]


def test_every_example_of_the_documentation_is_read() -> None:
    document = Path(__file__).parents[3] / "docs" / "class-maps.md"
    examples = re.findall(r"```yaml\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    maps = [read(example) for example in examples]
    robot, free_space, greenhouse = maps
    assert robot.class_by_name("vehicle").sources == (13, 14, 15)
    assert (robot.class_by_name("vehicle").id, robot.class_by_name("lane").id) == (13, 0)
    assert robot.hidden_ids == {10}
    assert free_space.id_table[:14].tolist() == [0, 1, *[255] * 7, 0, 255, 100, 100, 100]
    assert greenhouse.id_table[:5].tolist() == [0, 1, 2, 1, 255]


MISTAKES = {
    "not YAML": ("name: a: b", "1: not valid YAML: mapping values"),
    "no character": ("name: a\nnetwork: \x01", " not valid YAML: unacceptable character #x0001"),
    "no such escape": ('"\\U7fffffff"', " not valid YAML: chr() arg not in range"),
    "no C integer": ('"\\UFFFFFFFF"', " not valid YAML: Python int too large"),
    "two documents": ("a: 1\n---\nb: 2", "2: not valid YAML: but found another document"),
    "undefined alias": ("name: *a", "1: not valid YAML: found undefined alias"),
    "nested deeply": ("[" * 5000, " not valid YAML: "),
    "a list": ("- name: a", "1: got a list of 1; allowed a mapping with name, network, classes"),
    "a number": ("7", "1: got 7; allowed a mapping"),
    "no classes": ("name: a\nnetwork: 3", "1: the key classes is missing; add it"),
    "empty classes": (
        NUMBERED.split("  -")[0],
        "3: classes: got nothing; allowed a list of 1 to 255, each a mapping with name",
    ),
    "misspelt key": (
        NUMBERED.replace("network:", "netwrok:"),
        "2: unknown key 'netwrok'; allowed name, network, classes, rest; did you mean network?",
    ),
    "key that is a list": (NUMBERED + "[a]: 1", "9: not valid YAML: found unhashable key"),
    "key twice": (NUMBERED + "name: b", "9: not valid YAML: the key name stands here twice"),
    "key of a class": (
        NUMBERED.replace("    color:", "    colour:"),
        "7: classes[1]: unknown key 'colour'; allowed name, id, color, from, hidden; did you mean",
    ),
    "missing color": (
        NUMBERED.replace("    color: [255, 0, 0]\n", ""),
        "5: classes[1]: the key color is missing; add it",
    ),
    "name is a number": (
        NUMBERED.replace("occupied", "12"),
        "6: classes[1].name: got 12; allowed text; put it in quotes",
    ),
    "name is yes": (NUMBERED.replace("occupied", "yes"), "6: classes[1].name: got yes; allowed"),
    "name is empty": (
        NUMBERED.replace("occupied", ""),
        "6: classes[1].name: got nothing; allowed",
    ),
    "name is too long": (
        NUMBERED.replace("occupied", "o" * 65),
        "6: classes[1].name: got 'ooo",
    ),
    "name of the map": (NUMBERED.replace("numbered", '" "'), "1: name: got ' '; allowed 1 to 64"),
    "id 255": (
        NUMBERED.replace("id: 9", "id: 255"),
        "5: classes[1].id: got 255; allowed 0 to 254 (255 is reserved for unlabelled pixels)",
    ),
    "id below": (NUMBERED.replace("id: 9", "id: -1"), "5: classes[1].id: got -1; allowed"),
    "id in quotes": (NUMBERED.replace("id: 9", "id: '9'"), "5: classes[1].id: got '9'; allowed"),
    "id twice": (
        NUMBERED.replace("id: 9", "id: 0"),
        "5: classes[1].id: got id 0, which class 'free' has already; allowed one class for each",
    ),
    "name twice": (
        NUMBERED.replace("occupied", "free"),
        "6: classes[1].name: got name 'free', which class 'free' has already",
    ),
    "color of two": (
        NUMBERED.replace("[255, 0, 0]", "[255, 0]"),
        "7: classes[1].color: got a list of 2; allowed a list of 3, each a whole number from",
    ),
    "color of 256": (
        NUMBERED.replace("[255, 0, 0]", "[255, 0, 256]"),
        "7: classes[1].color[2]: got 256; allowed a whole number from 0 to 255",
    ),
    "color of fractions": (
        NUMBERED.replace("[255, 0, 0]", "[1.0, 0, 0]"),
        "7: classes[1].color[0]: got 1.0; allowed",
    ),
    "color in hex": (
        NUMBERED.replace("[255, 0, 0]", "'#ff8000'"),
        "7: classes[1].color: got '#ff8000'; allowed a list of 3, each a whole number from 0",
    ),
    "channel twice": (
        NUMBERED.replace("from: [1]", "from: [1, 2]"),
        "8: classes[1].from: got channel 2, which class 'free' has already",
    ),
    "channel twice in a class": (
        NUMBERED.replace("from: [1]", "from: [1, 1]"),
        "8: classes[1].from: got channel 1, which class 'occupied' has already",
    ),
    "channel out of range": (
        NUMBERED.replace("from: [1]", "from: [3]"),
        "8: classes[1].from[0]: got 3; allowed a channel of the network, a whole number from 0 to",
    ),
    "from is a number": (
        NUMBERED.replace("from: [1]", "from: 1"),
        "8: classes[1].from: got 1; allowed a list of 1 to 255, each a whole number, or text",
    ),
    "from is empty": (NUMBERED.replace("from: [1]", "from: []"), "8: classes[1].from: got a list"),
    "channel missing": (
        NUMBERED.replace("[0, 2]", "[0]"),
        "3: classes: got no from with channel 2; allowed only with the line rest: unlabelled; add",
    ),
    "id is no channel": (
        NUMBERED.replace("    from: [1]\n", ""),
        "5: classes[1]: the key from is missing, and the network has no class 9",
    ),
    "hidden is text": (
        NUMBERED + "    hidden: maybe",
        "9: classes[1].hidden: got 'maybe'; allowed",
    ),
    "hidden is a tag": (
        NUMBERED + "    hidden: !!bool maybe",
        " not valid YAML: ",
    ),
    "no channels": (NUMBERED.replace("network: 3", "network: 0"), "2: network: got 0; allowed"),
    "huge number": (
        NUMBERED.replace("network: 3", "network: 1" + "0" * 60),
        "2: not valid YAML: write whole numbers in decimal, 18 digits at most",
    ),
    "unknown network": (
        NUMBERED.replace("network: 3", "network: city"),
        "2: network: got 'city'; allowed the number of the network's channels, or one of camvid",
    ),
    "names to keep": (
        NUMBERED + "rest: keep",
        "9: rest: got 'keep'; allowed unlabelled (the channels of the network have no names",
    ),
    "rest is unknown": (
        on_cityscapes("{name: sky}", rest="rest: drop"),
        "3: rest: got 'drop'; allowed keep, unlabelled",
    ),
    "classes missing": (
        on_cityscapes("{name: road}", rest=""),
        "4: classes: got no from with sidewalk, building, wall, fence, pole, 13 more; allowed "
        "only with the line rest: keep or unlabelled; add that line, or list what is missing",
    ),
    "new name without from": (
        on_cityscapes("{name: skyy}"),
        "5: classes[0]: the key from is missing, and the network has no class 'skyy'; add from "
        "with the network's classes that become this one; did you mean sky?",
    ),
    "unknown source": (
        on_cityscapes("{name: ground, from: [raod]}"),
        "5: classes[0].from[0]: got 'raod'; allowed a class of the network: road, sidewalk",
    ),
    "source by number": (
        on_cityscapes("{name: ground, from: [0]}"),
        "5: classes[0].from[0]: got 0; allowed a class of the network",
    ),
    "id of a kept class": (
        on_cityscapes("{name: sky, hidden: true}", "{name: car, id: 3}"),
        "6: classes[1].id: got id 3, which class 'wall' has already",
    ),
    "name of a kept class": (
        on_cityscapes("{name: wall, from: [fence]}"),
        "5: classes[0].name: got name 'wall', which class 'wall' has already",
    ),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistake_names_line_and_field(text: str, message: str) -> None:
    with pytest.raises(ClassMapError) as caught:
        read(text)
    assert str(caught.value).startswith(f"own.yaml:{message}")
    assert len(str(caught.value)) < 600


@given(text=st.text())
def test_any_text_raises_class_map_errors_only(text: str) -> None:
    with pytest.raises(ClassMapError, match="own.yaml:"):
        read(text)


@given(start=st.integers(0, len(NUMBERED)), length=st.integers(0, 12), insert=st.text(max_size=8))
def test_damaged_map_is_read_or_refused(start: int, length: int, insert: str) -> None:
    try:
        class_map = read(NUMBERED[:start] + insert + NUMBERED[start + length :])
    except ClassMapError as error:
        assert str(error).startswith("own.yaml:")
    else:
        assert read(class_map.to_yaml()) == class_map


scalars = st.none() | st.booleans() | st.integers(-2, 300) | st.floats() | st.text(max_size=9)
keys = st.sampled_from(["id", "name", "color", "from", "hidden", "network", "rest", "classes"])
values = st.recursive(
    scalars | st.sampled_from(["cityscapes", "road", "keep", "unlabelled"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6),
    max_leaves=20,
)


@given(document=st.fixed_dictionaries({"name": values, "network": values, "classes": values}))
def test_values_of_any_type_raise_class_map_errors_only(document: dict[str, object]) -> None:
    try:
        class_map = read(json.dumps(document))
    except ClassMapError as error:
        assert str(error).startswith("own.yaml:")
    else:
        assert read(class_map.to_yaml()) == class_map


def test_tags_construct_nothing(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    with pytest.raises(
        ClassMapError, match=r"own.yaml:1: not valid YAML: could not determine a constructor"
    ):
        read(
            f"name: !!python/object/apply:os.mkdir [{json.dumps(str(victim))}]\n"
            "network: 1\nclasses: [{id: 0, name: a, color: [0, 0, 0]}]"
        )
    assert not victim.exists()


def test_aliases_that_multiply_are_refused() -> None:
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 50)}]" for n in range(1, 40)]
    bomb = "\n".join(["a0: &a0 [1]", *levels, "classes: *a39"])
    with pytest.raises(ClassMapError, match="own.yaml:1: unknown key 'a0'"):
        read(bomb)
