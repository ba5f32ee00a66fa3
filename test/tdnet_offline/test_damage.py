"""Damage of camera frames: what is lost, how much noise there is, what is drawn from what."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.media import drive

from tdnet.errors import InputError
from tdnet_offline.damage import LOST_GREY, MAX_NOISE, MAX_STRIPE, NO_DAMAGE, Damage

IMAGE = drive(1, 100, 64)[0]


def lost(damaged: np.ndarray) -> list[int]:
    """The rows that hold nothing but the grey of lost data."""
    return np.flatnonzero((damaged == LOST_GREY).all(axis=(1, 2))).tolist()


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_a_stripe_takes_its_share_of_the_rows(share: float) -> None:
    first_rows = set()
    for seed in range(40):
        damaged = Damage(stripe=share).apply(IMAGE, seed)
        rows = lost(damaged)
        assert rows == list(range(rows[0], rows[0] + round(100 * share)))
        kept = np.setdiff1d(np.arange(100), rows)
        np.testing.assert_array_equal(damaged[kept], IMAGE[kept])
        first_rows.add(rows[0])
    assert len(first_rows) > 5


def test_noise_has_its_standard_deviation() -> None:
    grey = np.full((400, 400, 3), 128, np.uint8)
    noise = Damage(noise=25).apply(grey, 0).astype(float) - grey
    # 480 000 independent values, rounded, none of them cut off more than 5 deviations away.
    assert noise.mean() == pytest.approx(0, abs=0.2)
    assert noise.std() == pytest.approx(25, abs=0.2)
    assert abs(np.corrcoef(noise[:, :, 0].ravel(), noise[:, :, 1].ravel())[0, 1]) < 0.02
    white = np.full((50, 50, 3), 255, np.uint8)
    assert Damage(noise=25).apply(white, 0).min() > 100  # cut off, not wrapped around


def test_the_same_frame_has_the_same_damage() -> None:
    for damage in (Damage(stripe=0.2), Damage(noise=10), Damage(stripe=0.2, noise=10)):
        one = damage.apply(IMAGE, 1, 2, 3)
        np.random.default_rng(0).random()
        np.testing.assert_array_equal(damage.apply(IMAGE, 1, 2, 3), one)
        for place in range(3):  # of the seed; one of ten stripes may lie where the first does
            seeds = [tuple(n if i == place else i + 1 for i in range(3)) for n in range(10, 20)]
            drawn = {damage.apply(IMAGE, *seed).tobytes() for seed in seeds}
            assert len(drawn | {one.tobytes()}) > 5


def test_the_camera_image_is_not_changed() -> None:
    before = IMAGE.copy()
    Damage(stripe=0.5, noise=50).apply(IMAGE, 0)
    np.testing.assert_array_equal(IMAGE, before)
    assert NO_DAMAGE.apply(IMAGE, 0) is IMAGE


@given(st.sampled_from(["stripe", "noise"]), st.floats(0, 1))
def test_what_is_written_is_read(name: str, part: float) -> None:
    most = {"stripe": MAX_STRIPE, "noise": MAX_NOISE}[name]
    amount = float(f"{part * most:g}")
    damage = Damage(**{name: amount})
    assert Damage.parse(f"{name}={amount!r}") == damage
    assert Damage.parse(str(damage)) == damage


@given(st.text(max_size=20))
def test_text_is_read_or_refused_with_what_is_allowed(text: str) -> None:
    try:
        damage = Damage.parse(text)
    except InputError as error:
        assert "damage" in str(error)
        assert "\n" not in str(error)
    else:
        assert damage == NO_DAMAGE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stripe=0.91", "damage stripe=0.91; allowed are 0 to 0.9"),
        ("stripe=-0.1", "damage stripe=-0.1; allowed are 0 to 0.9"),
        ("noise=256", "damage noise=256; allowed are 0 to 255"),
        ("noise=nan", "damage noise=nan; allowed are 0 to 255"),
        ("noise=inf", "damage noise=inf; allowed are 0 to 255"),
        ("noise=", "damage 'noise=': '' is not a number"),
        ("noise=much", "damage 'noise=much': 'much' is not a number"),
        ("noise", "damage 'noise'; allowed are none, stripe=SHARE and noise=GREY_LEVELS"),
        ("rain=3", "damage 'rain=3'; allowed are none, stripe=SHARE and noise=GREY_LEVELS"),
        ("", "damage ''; allowed are none, stripe=SHARE and noise=GREY_LEVELS"),
    ],
)
def test_what_is_no_damage_is_named(text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        Damage.parse(text)
