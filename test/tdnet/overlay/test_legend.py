"""The legend: what it lists, where it stays, what it never does."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tdnet.class_map.classes import SegmentationClass
from tdnet.class_map.model import ClassMap
from tdnet.errors import UnknownNameError
from tdnet.overlay.legend import draw_legend

Array = npt.NDArray[np.uint8]
NYUDV2 = ClassMap.load("nyudv2")
class_ids = st.sets(st.integers(0, 39))


def listed(picture: Array) -> list[int]:
    """Ids by the place of their swatches: column by column, from the top."""
    found = []
    codes = picture @ np.array([65536, 256, 1])
    for entry in NYUDV2.classes:
        rows, columns = np.nonzero(codes == np.array(entry.color) @ [65536, 256, 1])
        if rows.size > 30:
            found.append((int(columns.min()) // 16, int(rows.min()), entry.id))
    return [class_id for _, _, class_id in sorted(found)]


@settings(deadline=None, max_examples=30)
@given(ids=class_ids, size=st.sampled_from([(480, 640), (479, 641), (640, 480), (720, 1280)]))
def test_lists_exactly_the_classes_in_order_of_id(ids: set[int], size: tuple[int, int]) -> None:
    picture = np.zeros((*size, 3), np.uint8)
    draw_legend(picture, NYUDV2, ids)
    assert listed(picture) == sorted(ids)


@settings(deadline=None)
@given(ids=class_ids, height=st.integers(1, 500), width=st.integers(1, 700))
def test_leaves_a_quarter_of_the_width_and_a_third_of_the_height(
    ids: set[int], height: int, width: int
) -> None:
    picture = np.full((height, width, 3), 77, np.uint8)
    draw_legend(picture, NYUDV2, ids)
    drawn = np.argwhere((picture != 77).any(axis=2))
    if drawn.size:
        assert drawn[:, 0].max() < height * 0.6 + max(6, height / 80)
        assert drawn[:, 1].max() < width * 0.75 + max(6, width / 80)


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (24, 32), (120, 90)])
def test_a_tiny_picture_stays_as_it_is(size: tuple[int, int]) -> None:
    picture = np.full((*size, 3), 77, np.uint8)
    draw_legend(picture, NYUDV2, range(40))
    assert (picture == 77).all()


def test_unlabelled_and_nothing_draw_nothing() -> None:
    picture = np.full((480, 640, 3), 77, np.uint8)
    draw_legend(picture, NYUDV2, [])
    draw_legend(picture, NYUDV2, [255])
    assert (picture == 77).all()


@pytest.mark.parametrize("background", [0, 60, 128, 200, 255])
def test_text_stands_out_from_any_background(background: int) -> None:
    picture = np.full((480, 640, 3), background, np.uint8)
    draw_legend(picture, NYUDV2, [0])
    panel = picture[8:30, 40:60]
    assert int(panel.max()) - int(panel.min()) > 130


def test_the_same_legend_comes_out_again_and_follows_the_picture_below() -> None:
    first, second = np.zeros((2, 480, 640, 3), np.uint8)
    draw_legend(first, NYUDV2, [1, 2])
    first[...] = 0
    draw_legend(first, NYUDV2, [2, 1])
    draw_legend(second, NYUDV2, [1, 2])
    np.testing.assert_array_equal(first, second)
    bright = np.full_like(first, 255)
    draw_legend(bright, NYUDV2, [1, 2])
    assert bright[10, 60].min() > second[10, 60].max()


def test_view_of_a_larger_picture_is_drawn_in_place() -> None:
    large = np.zeros((600, 800, 3), np.uint8)
    draw_legend(large[50:530, 70:710], NYUDV2, [3])
    alone = np.zeros((480, 640, 3), np.uint8)
    draw_legend(alone, NYUDV2, [3])
    np.testing.assert_array_equal(large[50:530, 70:710], alone)
    assert not large[:50].any()


def named(*names: str) -> ClassMap:
    classes = [
        SegmentationClass(i, name, (200, 10 * i, 10), (i,)) for i, name in enumerate(names, 1)
    ]
    return ClassMap("named", tuple(classes), 20)


def test_long_names_are_shortened_to_their_start() -> None:
    picture = np.zeros((2, 240, 320, 3), np.uint8)
    draw_legend(picture[0], named("a" * 64), [1])
    draw_legend(picture[1], named("a" * 63 + "b"), [1])
    np.testing.assert_array_equal(picture[0], picture[1])
    assert np.argwhere(picture[0].any(axis=2))[:, 1].max() < 250


def test_accents_are_dropped_and_other_scripts_drawn_as_marks() -> None:
    accents, plain, script = np.zeros((3, 480, 640, 3), np.uint8)
    draw_legend(accents, named("café"), [1])
    draw_legend(plain, named("cafe"), [1])
    draw_legend(script, named("道路"), [1])
    np.testing.assert_array_equal(accents, plain)
    assert script.any()


def test_unknown_id_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown class id '40'"):
        draw_legend(np.zeros((480, 640, 3), np.uint8), NYUDV2, [40])
