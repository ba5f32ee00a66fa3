"""The street's parts: random numbers, bends, and the camera's way along them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tdnet_offline.street.camera import CameraPath, look
from tdnet_offline.street.layout import draw_layout
from tdnet_offline.street.light import draw_light
from tdnet_offline.street.people import draw_look, walker
from tdnet_offline.street.randomness import generator, smooth_noise


def test_random_numbers_depend_on_seed_and_key_only() -> None:
    values = [
        generator(seed, *key).random() for seed in (0, 1) for key in ((), (1,), (-1,), (1, 2))
    ]
    assert len(set(values)) == len(values)
    assert generator(7, 3, -2).random() == generator(7, 3, -2).random()


def test_smooth_noise_repeats_without_a_seam() -> None:
    noise = smooth_noise(generator(1), (64, 128), 16)
    inside = np.abs(np.diff(noise, axis=1)).max()
    assert np.abs(noise[:, 0] - noise[:, -1]).max() <= 1.2 * inside
    assert 0.1 < noise.std() < 1.5


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(-500, 5000))
def test_the_slope_is_that_of_the_bends(seed: int, along: float) -> None:
    line = draw_layout(seed).centre_line
    rise = (line.offset(along + 1e-3) - line.offset(along - 1e-3)) / 2e-3
    assert line.slope(along) == pytest.approx(rise, abs=1e-5)
    assert line.offsets(np.array([along]))[0] == pytest.approx(line.offset(along))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 600))
def test_the_camera_always_drives_forward(seed: int, time: float) -> None:
    path = CameraPath(seed, draw_layout(seed), (90, 160))
    speed = (path.along(time + 0.05) - path.along(time)) / 0.05
    assert 4.0 < speed < 14.0
    assert path.time_at(path.along(time)) == pytest.approx(time, abs=1e-3)


@given(st.floats(-3, 3), st.floats(-1, 1))
def test_a_camera_rotation_keeps_lengths_and_hands(yaw: float, pitch: float) -> None:
    rotation = look(yaw, pitch)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_the_camera_looks_ahead_with_the_picture_upright() -> None:
    right, down, forward = look(0.0, 0.0)
    assert right.tolist() == [1.0, 0.0, 0.0]
    assert down.tolist() == [0.0, 0.0, -1.0]
    assert forward.tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("seed", range(12))
def test_shadows_are_darker_than_light_but_not_black(seed: int) -> None:
    light = draw_light(seed)
    assert 0.2 < light.shadow <= 1.0
    assert light.haze(np.array([0.0, 50.0, 1e6])) == pytest.approx(
        [0.0, 1 - np.exp(-50.0 / light.haze_length), 1.0]
    )


def test_a_walker_moves_the_legs_and_stays_on_the_ground() -> None:
    look_of_one = draw_look(generator(5))
    feet = []
    for phase in np.linspace(0.0, 2 * np.pi, 9)[:-1]:
        ends = walker(look_of_one, float(phase)).capsules
        feet.append(ends[..., 1].max() - ends[..., 1].min())
        assert -0.03 < ends[..., 2].min() < 0.2
        assert ends[..., 2].max() == pytest.approx(look_of_one.height, abs=0.25)
    assert max(feet) - min(feet) > 0.15
