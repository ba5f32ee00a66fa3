"""Frames of a clip and their labels are varied together, and as far as the recipe says."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from tdnet.frames.preprocess import MEAN, STD, Preprocessor
from tdnet_offline.damage import LOST_GREY
from tdnet_offline.training.augmentation import Augmentation, plain
from tdnet_offline.training.configuration import AugmentationConfig

SIZE = (33, 65)
NOTHING = AugmentationConfig(rotation=0, scales=(1.0,), flip=False, color_jitter=0)


def batch(size: tuple[int, int] = SIZE, clips: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Frames of two pictures, labels, draws."""
    random = np.random.default_rng(5)
    small = random.integers(0, 256, (clips, 3, 5, 9, 3), np.uint8)
    frames = np.stack(
        [
            [cv2.resize(frame, size[::-1], interpolation=cv2.INTER_CUBIC) for frame in clip]
            for clip in small
        ]
    )
    labels = random.integers(0, 7, (clips, 1, 1), np.uint8) + (
        np.arange(size[1], dtype=np.uint8) // 8
    )
    labels = np.repeat(labels, size[0], axis=1)
    return torch.from_numpy(frames), torch.from_numpy(labels), torch.arange(clips) + 11


def pictures(normalised: Tensor) -> Tensor:
    """Undo the normalisation: 0 to 1."""
    mean, std = (torch.tensor(item).reshape(3, 1, 1) for item in (MEAN, STD))
    return normalised * std + mean


def test_without_variation_frames_are_only_normalised() -> None:
    frames, labels, draws = batch()
    for varied, kept in (
        Augmentation(NOTHING, SIZE)(frames, labels, draws),
        plain(frames, labels, SIZE),
    ):
        same = Preprocessor(SIZE, torch.device("cpu"), torch.float32)
        expected = torch.stack([torch.cat([same(frame) for frame in clip]) for clip in frames])
        torch.testing.assert_close(varied, expected, rtol=0, atol=1e-5)
        assert torch.equal(kept, labels.long())


def test_another_size_is_resized_for_validation() -> None:
    frames, labels, _ = batch((66, 130))
    varied, kept = plain(frames, labels, SIZE)
    resized = Preprocessor(SIZE, torch.device("cpu"), torch.float32)(frames[1, 2])[0]
    torch.testing.assert_close(varied[1, 2], resized, rtol=0, atol=1e-4)
    assert kept.shape == (2, *SIZE)
    assert set(kept.unique().tolist()) <= set(labels.unique().tolist())


def test_a_draw_decides_everything_and_nothing_else_does() -> None:
    frames, labels, draws = batch()
    vary = Augmentation(AugmentationConfig(), SIZE)
    once, twice = vary(frames, labels, draws), vary(frames, labels, draws)
    assert all(torch.equal(a, b) for a, b in zip(once, twice, strict=True))
    alone = vary(frames[1:], labels[1:], draws[1:])
    torch.testing.assert_close(alone[0][0], once[0][1], rtol=0, atol=1e-5)
    assert torch.equal(alone[1][0], once[1][1])
    other = vary(frames, labels, draws + 1)
    assert not torch.equal(other[0], once[0])


def test_all_frames_of_a_clip_are_varied_alike() -> None:
    frames, labels, draws = batch()
    still = frames[:, :1].expand(-1, 3, -1, -1, -1)
    varied, _ = Augmentation(AugmentationConfig(), SIZE)(still, labels, draws)
    assert torch.equal(varied[:, 0], varied[:, 1])
    assert torch.equal(varied[:, 0], varied[:, 2])


def test_what_was_given_stays_as_it_was() -> None:
    frames, labels, draws = batch()
    before = frames.clone(), labels.clone()
    Augmentation(AugmentationConfig(rotation=0, scales=(1.0,)), SIZE)(frames, labels, draws)
    Augmentation(AugmentationConfig(), SIZE)(frames, labels, draws)
    assert torch.equal(frames, before[0])
    assert torch.equal(labels, before[1])


def test_half_of_the_clips_are_mirrored_with_their_labels() -> None:
    frames, labels, _ = batch(clips=1)
    config = AugmentationConfig(rotation=0, scales=(1.0,), color_jitter=0)
    straight, _ = plain(frames, labels, SIZE)
    mirrored = 0
    for draw in range(40):
        varied, kept = Augmentation(config, SIZE)(frames, labels, torch.tensor([draw]))
        turned = not torch.equal(kept[0], labels[0].long())
        mirrored += turned
        expected = straight.flip(-1) if turned else straight
        torch.testing.assert_close(varied, expected, rtol=0, atol=1e-5)
        assert torch.equal(kept, (labels.flip(-1) if turned else labels).long())
    assert 10 <= mirrored <= 30


def test_a_scaled_crop_is_a_part_of_the_scaled_frame() -> None:
    frames, labels, _ = batch(clips=1)
    config = AugmentationConfig(rotation=0, scales=(2.0,), flip=False, color_jitter=0)
    corners = set()
    for draw in range(12):
        _, kept = Augmentation(config, SIZE)(frames, labels, torch.tensor([draw]))
        assert not bool((kept == 255).any())
        # Labels 8 columns wide become 16 wide.
        changes = (kept[0, 0, 1:] != kept[0, 0, :-1]).nonzero().flatten().tolist()
        assert {b - a for a, b in itertools.pairwise(changes)} <= {16}
        corners.add(changes[0])
    assert len(corners) > 4


def test_what_is_smaller_than_the_crop_is_stretched_to_it() -> None:
    """Labels stay in place, nothing is ignored, and frames are resampled once, not twice."""
    frames, labels, draws = batch()
    config = AugmentationConfig(rotation=0, scales=(0.5,), flip=False, color_jitter=0)
    varied, kept = Augmentation(config, SIZE)(frames, labels, draws)
    assert torch.equal(kept, labels.long())
    expected = frames.permute(0, 1, 4, 2, 3) / 255
    torch.testing.assert_close(pictures(varied), expected, rtol=0, atol=1e-4)


def test_only_a_side_that_shrinks_loses_detail() -> None:
    columns = torch.tensor([0, 255], dtype=torch.uint8).repeat(32)
    frames = columns[None, None, None, :, None].repeat(1, 1, 128, 1, 3)
    labels = torch.zeros(1, 128, 64, dtype=torch.uint8)
    config = AugmentationConfig(rotation=0, scales=(0.5,), flip=False, color_jitter=0)
    varied, _ = Augmentation(config, (64, 64))(frames, labels, torch.tensor([0]))
    seen = pictures(varied)[0, 0, 0]
    assert torch.allclose(seen, columns.float().expand_as(seen) / 255, atol=1e-3)


def test_a_frame_that_is_larger_than_the_crop_is_cropped_at_its_scale() -> None:
    frames, labels, draws = batch((66, 130))
    config = AugmentationConfig(rotation=0, scales=(0.75,), flip=False, color_jitter=0)
    _, kept = Augmentation(config, SIZE)(frames, labels, draws)
    changes = (kept[0, 0, 1:] != kept[0, 0, :-1]).nonzero().flatten().tolist()
    assert {b - a for a, b in itertools.pairwise(changes)} == {6}  # labels 8 columns wide
    assert not bool((kept == 255).any())


def test_each_scale_of_the_specification_is_drawn_as_often_and_no_other() -> None:
    scales = AugmentationConfig().scales
    assert scales == (0.75, 1, 1.25, 1.5, 1.75, 2)
    labels = (torch.arange(257) // 4 % 250).to(torch.uint8).expand(1, 9, -1)
    frames = torch.zeros(1, 1, 9, 257, 3, dtype=torch.uint8)
    config = AugmentationConfig(rotation=0, flip=False, color_jitter=0)
    widths: Counter[float] = Counter()
    for draw in range(300):
        _, kept = Augmentation(config, (9, 257))(frames, labels, torch.tensor([draw]))
        # Labels are 4 columns wide; those between the first and last change are whole.
        changes = (kept[0, 4, 1:] != kept[0, 4, :-1]).nonzero().flatten()
        widths[round(float(changes[-1] - changes[0]) / (len(changes) - 1) * 4) / 16] += 1
    # What is resized to 0.75 is stretched to the crop, which restores the width.
    assert set(widths) == {1, 1.25, 1.5, 1.75, 2}
    assert 70 <= widths[1] <= 130
    assert all(30 <= widths[scale] <= 70 for scale in scales[2:])


def test_rotation_leaves_black_corners_without_labels() -> None:
    frames, labels, _ = batch((65, 65), clips=1)
    config = AugmentationConfig(rotation=45, scales=(1.0,), flip=False, color_jitter=0)
    shares = []
    for draw in range(8):
        varied, kept = Augmentation(config, (65, 65))(
            frames.clamp(min=40), labels, torch.tensor([draw])
        )
        outside = kept[0] == 255
        inner = torch.nn.functional.max_pool2d((~outside).float()[None], 3, 1, 1)[0] == 0
        assert float(pictures(varied[0])[:, :, inner].abs().max() if inner.any() else 0) < 1e-5
        shares.append(float(outside.float().mean()))
    assert max(shares) > 0.1


def test_a_turned_frame_is_what_opencv_turns() -> None:
    frames, labels, _ = batch((65, 65), clips=1)
    config = AugmentationConfig(rotation=30, scales=(1.0,), flip=False, color_jitter=0)
    angles = []
    for draw in range(8):
        varied, kept = Augmentation(config, (65, 65))(frames, labels, torch.tensor([draw]))
        picture = (pictures(varied[0, 2]).permute(1, 2, 0).numpy() * 255)[16:49, 16:49]

        def error(angle: float, picture: np.ndarray = picture) -> float:
            matrix = cv2.getRotationMatrix2D((32, 32), angle, 1)
            turned = cv2.warpAffine(frames[0, 2].numpy(), matrix, (65, 65))
            return float(np.abs(turned[16:49, 16:49] - picture).mean())

        best = min(np.arange(-31, 31, 0.25), key=error)
        assert error(best) < 2.0
        angles.append(best)
        matrix = cv2.getRotationMatrix2D((32, 32), best, 1)
        turned = cv2.warpAffine(labels[0].numpy(), matrix, (65, 65), flags=cv2.INTER_NEAREST)
        agreement = (turned == kept[0].numpy())[16:49, 16:49].mean()
        assert agreement > 0.95
    assert max(angles) > 5
    assert min(angles) < -5


def test_colours_vary_within_their_range_and_by_brightness_contrast_and_saturation() -> None:
    grey = torch.full((1, 1, *SIZE, 3), 100, dtype=torch.uint8)
    labels = torch.zeros((1, *SIZE), dtype=torch.uint8)
    config = AugmentationConfig(rotation=0, scales=(1.0,), flip=False, color_jitter=0.3)
    factors = []
    for draw in range(60):
        varied, _ = Augmentation(config, SIZE)(grey, labels, torch.tensor([draw]))
        color = pictures(varied[0, 0])[:, 5, 5] * 255 / 100
        # A uniform grey has no contrast and no colour: only brightness is left.
        assert float(color.max() - color.min()) < 1e-3
        factors.append(float(color[0]))
    assert 0.7 <= min(factors) < 0.8
    assert 1.2 < max(factors) <= 1.3

    frames, labels, _ = batch(clips=1)
    weights = torch.tensor([0.299, 0.587, 0.114])
    narrow = (frames.float() * 0.1 + 115).to(torch.uint8)  # so that nothing is cut off
    before = narrow[0].float() @ weights
    for draw in range(10):
        varied, _ = Augmentation(config, SIZE)(narrow, labels, torch.tensor([draw]))
        after = torch.einsum("nchw,c->nhw", pictures(varied[0]) * 255, weights)
        # The grey values follow a straight line: brightness times contrast, around the mean.
        slope, offset = np.polyfit(before.flatten().numpy(), after.flatten().numpy(), 1)
        line = before.numpy() * slope + offset
        assert float(np.abs(after.numpy() - line).max()) < 0.5
        brightness = (float(before.mean()) * slope + offset) / float(before.mean())
        assert 0.69 < brightness < 1.31
        assert 0.69 < slope / brightness < 1.31


def test_no_colour_leaves_its_range() -> None:
    frames, labels, draws = batch()
    config = AugmentationConfig(rotation=0, scales=(1.0,), color_jitter=1)
    for draw in range(10):
        varied, _ = Augmentation(config, SIZE)(frames, labels, draws + 2 * draw)
        values = pictures(varied)
        assert math.isclose(max(1.0, float(values.max())), 1.0, abs_tol=1e-5)
        assert math.isclose(min(0.0, float(values.min())), 0.0, abs_tol=1e-5)


class TestDamage:
    """Grey frames, so that whatever is not grey is damage."""

    LEVEL = 90

    def damaged(
        self, draws: int, *, length: int = 4, still: bool = True, **damage: float
    ) -> Tensor:
        """Frames (B, N, H, W, 3) in grey levels of a clip of uniform grey for each draw."""
        size = (40, 64) if still else (80, 128)
        frames = torch.full((draws, length, *size, 3), self.LEVEL, dtype=torch.uint8)
        labels = torch.zeros((draws, *size), dtype=torch.uint8)
        config = replace(NOTHING, **damage)  # type: ignore[arg-type]
        varied, kept = Augmentation(config, (40, 64))(frames, labels, torch.arange(draws))
        assert not bool(kept.any())  # labels stay
        return pictures(varied).permute(0, 1, 3, 4, 2) * 255

    def is_damaged(self, frames: Tensor) -> Tensor:
        return (frames - self.LEVEL).abs().amax(dim=(2, 3, 4)) > 0.01

    @pytest.mark.parametrize("still", [True, False], ids=["as it is", "cropped"])
    def test_a_share_of_the_frames_is_damaged_each_on_its_own(self, still: bool) -> None:
        damaged = self.is_damaged(
            self.damaged(250, still=still, stripe=0.4, noise=30, damaged=1 / 3)
        )
        assert float(damaged.float().mean()) == pytest.approx(1 / 3, abs=0.05)
        # Neither the place in the clip nor a neighbour matters: counts are binomial.
        assert all(abs(share - 1 / 3) < 0.1 for share in damaged.float().mean(dim=0).tolist())
        counts = torch.bincount(damaged.sum(dim=1), minlength=5) / len(damaged)
        expected = [math.comb(4, k) * (1 / 3) ** k * (2 / 3) ** (4 - k) for k in range(5)]
        assert (counts - torch.tensor(expected)).abs().max() < 0.1

    def test_a_stripe_is_neighbouring_rows_of_decoder_grey(self) -> None:
        frames = self.damaged(100, stripe=0.5)
        heights, firsts = [], set()
        for frame in frames.flatten(0, 1)[self.is_damaged(frames).flatten()]:
            lost = (frame - self.LEVEL).abs().amax(dim=(1, 2)) > 0.01
            rows = lost.nonzero().flatten()
            assert rows.tolist() == list(range(int(rows[0]), int(rows[-1]) + 1))
            torch.testing.assert_close(
                frame[lost], torch.full_like(frame[lost], LOST_GREY), rtol=0, atol=0.01
            )
            heights.append(len(rows))
            firsts.add(int(rows[0]))
        # Between half of the share and all of it, anywhere.
        assert 10 <= min(heights) < 13
        assert 17 < max(heights) <= 20
        assert len(firsts) > 15

    def test_noise_has_its_deviation_and_no_stripe(self) -> None:
        frames = self.damaged(100, noise=20)
        deviations = []
        for frame in frames.flatten(0, 1)[self.is_damaged(frames).flatten()]:
            grain = frame - self.LEVEL
            assert abs(float(grain.mean())) < 2
            deviations.append(float(grain.std()))
            rows = grain.std(dim=(1, 2))
            assert float(rows.min()) > 0.5 * deviations[-1]
        assert 9.5 <= min(deviations) < 12
        assert 18 < max(deviations) <= 21

    def test_a_frame_has_one_kind_of_damage(self) -> None:
        frames = self.damaged(100, stripe=0.5, noise=30)
        kinds = Counter(
            "noise" if len(frame.round().unique()) > 2 else "stripe"
            for frame in frames.flatten(0, 1)[self.is_damaged(frames).flatten()]
        )
        assert min(kinds["stripe"], kinds["noise"]) > 40

    def test_noise_stays_within_the_range_of_a_picture(self) -> None:
        frames, labels, draws = batch(clips=8)
        config = replace(NOTHING, noise=255)
        values = pictures(Augmentation(config, SIZE)(frames, labels, draws)[0])
        assert -1e-5 < float(values.min()) < float(values.max()) < 1 + 1e-5

    def test_the_draw_decides_the_damage(self) -> None:
        one, again = (self.damaged(20, stripe=0.4, noise=30) for _ in range(2))
        assert torch.equal(one, again)
        marks = self.is_damaged(one)
        assert len({tuple(row) for row in marks.tolist()}) > 4

    def test_a_recipe_without_damage_leaves_frames_alone(self) -> None:
        assert not bool(self.is_damaged(self.damaged(50)).any())


def test_a_still_grows_and_shifts_evenly_up_to_the_labelled_frame() -> None:
    still = np.zeros((1, 3, 97, 193, 3), np.uint8)
    for channel, place in enumerate(((66, 48), (126, 48), (96, 72))):
        still[..., channel] = cv2.circle(np.zeros((97, 193), np.uint8), place, 6, 255, -1)
    frames, labels = torch.from_numpy(still), torch.zeros(1, 97, 193, dtype=torch.uint8)
    vary = Augmentation(replace(NOTHING, motion=0.1), (97, 193))
    rows, columns = torch.meshgrid(torch.arange(97.0), torch.arange(193.0), indexing="ij")
    growths, shifts, falls = [], [], []
    for draw in range(20):
        varied, kept = vary(frames, labels, torch.tensor([draw]))
        assert torch.equal(kept, labels.long())
        seen = pictures(varied[0]).clamp(min=0)
        torch.testing.assert_close(seen[2], frames[0, 2].permute(2, 0, 1) / 255, rtol=0, atol=1e-4)
        mass = seen.sum(dim=(2, 3))
        x, y = ((seen * axis).sum(dim=(2, 3)) / mass for axis in (columns, rows))
        apart, middle = x[:, 1] - x[:, 0], (x[:, 0] + x[:, 1]) / 2
        growth = apart[1:] / apart[:-1]
        torch.testing.assert_close(growth[0], growth[1], rtol=0.01, atol=0)
        torch.testing.assert_close(middle[2] - middle[1], middle[1] - middle[0], rtol=0, atol=0.3)
        torch.testing.assert_close(
            (y[:, 2] - y[:, 0]) / apart, torch.full((3,), 0.4), rtol=0.02, atol=0
        )
        growths.append(float(growth[1]))
        shifts.append(float(middle[2] - middle[1]) / 193)
        falls.append(float(y[2, 0] - y[1, 0]) / 193)
    assert min(growths) < 0.95 < 1.05 < max(growths)
    assert min(growths) > 0.89
    assert max(growths) < 1.12
    assert -0.051 < min(shifts) < -0.02 < 0.02 < max(shifts) < 0.051
    assert -0.0128 < min(falls) < -0.004 < 0.004 < max(falls) < 0.0128


def test_motion_leaves_the_labelled_frame_as_it_is_with_all_other_variation() -> None:
    frames, labels, draws = batch((66, 130))
    moved, still = (
        Augmentation(AugmentationConfig(motion=motion), SIZE)(frames, labels, draws)
        for motion in (0.1, 0.0)
    )
    assert torch.equal(moved[1], still[1])
    torch.testing.assert_close(moved[0][:, -1], still[0][:, -1], rtol=0, atol=1e-5)
    assert not torch.allclose(moved[0][:, 0], still[0][:, 0], atol=0.1)
