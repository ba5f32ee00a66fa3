"""Painting: what hides what, and labels that are what a pixel mostly shows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdnet_offline.street.camera import Intrinsics, Pose, look
from tdnet_offline.street.canvas import NEAR, SCALE, Canvas, clip_near
from tdnet_offline.street.layout import CentreLine
from tdnet_offline.street.light import draw_light
from tdnet_offline.street.materials import Material, cutout_texture
from tdnet_offline.street.model import Model, ModelBuilder
from tdnet_offline.street.painter import Painter, painting_order
from tdnet_offline.street.placer import Placer

STRAIGHT = CentreLine(((0.0, 100.0, 0.0),))
CAMERA = Intrinsics(100, 200, 150.0)
POSE = Pose(np.array([0.0, 0.0, 1.5]), look(0.0, 0.0), 0.0, 0.0)


def block(material: Material, width: float = 2.0, height: float = 2.0) -> Model:
    build = ModelBuilder(material)
    half = width / 2
    build.box((-half, -0.5, 0.0), (half, 0.5, height), (120.0, 120.0, 120.0))
    return build.build((-half, half, -0.5, 0.5), height)


def paint(*placed: tuple[Model, float, float]) -> np.ndarray:
    """Return the labels of models at (lateral, along) metres, seen from the origin."""
    light = draw_light(0)
    placer = Placer(STRAIGHT, light)
    canvas = Canvas(CAMERA)
    Painter(canvas, POSE, light, STRAIGHT).paint([placer.place(m, x, y) for m, x, y in placed])
    return canvas.labels()


def pixel_of(x: float, y: float, z: float) -> tuple[int, int]:
    """Return (row, column) of a point in metres."""
    centre_x, centre_y = CAMERA.centre
    return round(centre_y - CAMERA.focal * (z - 1.5) / y), round(centre_x + CAMERA.focal * x / y)


@pytest.mark.parametrize("near_first", [True, False], ids=["near first", "far first"])
def test_the_near_hides_the_far(near_first: bool) -> None:
    near, far = (block(Material.CAR), 0.0, 10.0), (block(Material.BUS, 8.0, 4.0), 0.0, 20.0)
    labels = paint(near, far) if near_first else paint(far, near)
    assert labels[pixel_of(0.0, 9.5, 1.0)] == 13
    assert labels[pixel_of(3.0, 19.5, 3.0)] == 15


@pytest.mark.parametrize("sign", [-1, 1], ids=["left", "right"])
def test_side_by_side_the_inner_hides_the_outer(sign: int) -> None:
    """A long wall beside the street, and a car before it whose middle is farther away."""
    build = ModelBuilder(Material.WALL)
    build.box((-0.2, 0.0, 0.0), (0.2, 60.0, 5.0), (99.0, 99.0, 99.0))
    wall = build.build((-0.2, 0.2, 0.0, 60.0))
    labels = paint((block(Material.CAR), sign * 3.0, 25.0), (wall, sign * 5.0, 4.0))
    assert labels[pixel_of(sign * 3.0, 24.5, 1.0)] == 13
    assert labels[pixel_of(sign * 4.8, 15.0, 2.0)] == 3


@given(st.permutations(range(8)), st.lists(st.floats(-9, 9), min_size=8, max_size=8))
def test_what_follows_one_another_is_painted_from_far_to_near(
    places: list[int], lateral: list[float]
) -> None:
    boxes = np.array(
        [(x, x + 2.0, 5.0 * y, 5.0 * y + 4.0) for x, y in zip(lateral, places, strict=True)]
    )
    order = painting_order(boxes, along=-1.0, lateral=0.0)
    assert [places[index] for index in order] == list(range(7, -1, -1))


def test_a_label_is_what_most_of_the_pixel_shows() -> None:
    canvas = Canvas(CAMERA)
    road, car = (0, 0, 0, Material.ROAD), (0, 0, 0, Material.CAR)
    canvas.pixels[:] = road
    canvas.pixels[: SCALE - 1, :SCALE] = car  # half of the pixel: either will do
    canvas.pixels[:SCALE, SCALE] = car
    canvas.pixels[0, SCALE + 1] = car  # three quarters of the pixel
    canvas.pixels[0, 2 * SCALE] = car  # one quarter
    labels = canvas.labels()
    assert labels[0, 0] in (0, 13)
    assert (labels[0, 1], labels[0, 2]) == (13, 0)
    assert np.all(labels[1:] == 0)


def test_marking_counts_as_road_for_the_majority() -> None:
    canvas = Canvas(CAMERA)
    canvas.pixels[:] = (0, 0, 0, Material.CAR)
    canvas.pixels[0, 0] = (0, 0, 0, Material.ROAD)
    canvas.pixels[0, 1] = (0, 0, 0, Material.MARKING)
    canvas.pixels[1, 0] = (0, 0, 0, Material.KERB)
    assert canvas.labels()[0, 0] == 0


def test_street_furniture_has_no_label() -> None:
    assert paint((block(Material.STREET_FURNITURE), 0.0, 5.0))[pixel_of(0.0, 4.5, 1.0)] == 255


def test_what_is_behind_the_camera_is_not_painted() -> None:
    assert np.all(paint((block(Material.CAR), 0.0, -3.0)) == 255)


def test_what_reaches_past_the_camera_is_cut_off_there() -> None:
    build = ModelBuilder(Material.WALL)
    build.box((2.0, -20.0, 0.0), (3.0, 20.0, 3.0), (99.0, 99.0, 99.0))
    labels = paint((build.build((2.0, 3.0, -20.0, 20.0)), 0.0, 0.0))
    assert labels[pixel_of(2.0, 10.0, 1.5)] == 3
    assert labels[50, 199] == 3  # the picture's right edge, where the wall is closest
    assert labels[50, 20] == 255


@given(st.lists(st.tuples(*[st.floats(-50, 50)] * 3), min_size=3, max_size=6))
def test_clipping_leaves_only_what_is_in_front(points: list[tuple[float, float, float]]) -> None:
    polygon = np.array(points)
    kept = clip_near(polygon)
    assert np.all(kept[:, 2] >= NEAR - 1e-6)
    inside = polygon[polygon[:, 2] >= NEAR]
    for point in inside:
        assert np.any(np.all(np.isclose(kept, point), axis=1))


def test_the_coarse_copies_of_a_cutout_keep_its_outline() -> None:
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:32] = (10, 200, 30, Material.VEGETATION)
    for level in cutout_texture(pixels).levels:
        half = len(level) // 2
        assert np.all(level[:half] == (10, 200, 30, Material.VEGETATION))
        assert np.all(level[half:] == 0)


def test_a_cutout_shows_what_is_behind_its_holes() -> None:
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:, :16] = (10, 200, 30, Material.VEGETATION)
    build = ModelBuilder(Material.VEGETATION)
    build.billboard((0.0, 0.0, 0.0), 4.0, 3.0, cutout_texture(pixels))
    bush = build.build((-0.1, 0.1, -0.1, 0.1))
    labels = paint((bush, 0.0, 10.0), (block(Material.BUS, 8.0, 4.0), 0.0, 20.0))
    assert labels[pixel_of(-1.0, 10.0, 1.5)] == 8
    assert labels[pixel_of(1.0, 10.0, 1.5)] == 15
