"""The overlay against an independent blend, and pixels that must not change."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError, UnknownNameError
from tdnet.overlay.renderer import OverlayRenderer

Array = npt.NDArray[np.uint8]
CITYSCAPES = ClassMap.load("cityscapes")
GAPS = ClassMap.from_yaml(
    "{name: gaps, network: 3, classes: ["
    "{id: 0, name: a, color: [255, 255, 255]}, {id: 7, name: b, color: [1, 128, 254], from: [1]}, "
    "{id: 254, name: c, color: [0, 0, 0], from: [2], hidden: true}]}",
    "gaps.yaml",
)
sizes = st.integers(1, 70)


def street(height: int, width: int, seed: int = 0) -> tuple[Array, Array]:
    """Return an image with gradients and noise, and labels in regions, some unlabelled."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    ramp = np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) % 256], axis=2)
    image = np.where(rng.random((height, width, 1)) < 0.2, rng.integers(0, 256, 3), ramp)
    labels = rng.integers(0, 19, (height // 5 + 1, width // 5 + 1)).repeat(5, 0).repeat(5, 1)
    labels = np.where(rng.random((height, width)) < 0.1, 255, labels[:height, :width])
    return image.astype(np.uint8), labels.astype(np.uint8)


def render(renderer: OverlayRenderer, image: Array, labels: Array) -> Array:
    return renderer.render(torch.from_numpy(image), torch.from_numpy(labels))


@settings(deadline=None)
@given(height=sizes, width=sizes, steps=st.integers(0, 128), seed=st.integers(0, 99))
def test_blend_equals_the_formula(height: int, width: int, steps: int, seed: int) -> None:
    image, labels = street(height, width, seed)
    alpha = steps / 128
    renderer = OverlayRenderer(CITYSCAPES, alpha=alpha, legend=False)
    colors = np.array([CITYSCAPES.class_by_id(i).color for i in range(19)], float)
    colors = colors[np.minimum(labels, 18)]
    expected = np.where((labels == 255)[..., None], image, (1 - alpha) * image + alpha * colors)
    result = render(renderer, image, labels)
    assert result.dtype == np.uint8
    assert np.abs(result - expected).max() <= 1.5


@settings(deadline=None)
@given(value=st.integers(0, 255), alpha=st.floats(0, 1), label=st.sampled_from([0, 7]))
def test_no_value_overflows(value: int, alpha: float, label: int) -> None:
    image = np.full((2, 3, 3), value, np.uint8)
    renderer = OverlayRenderer(GAPS, alpha=alpha, legend=False)
    result = render(renderer, image, np.full((2, 3), label, np.uint8))
    expected = (1 - alpha) * value + alpha * np.array(GAPS.class_by_id(label).color)
    # Alpha is rounded to 1/128, which adds up to half a step of 255/128.
    assert np.abs(result[0, 0] - expected).max() <= 2.5


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_only_visible_classes_touch_the_image(alpha: float) -> None:
    image = np.arange(256, dtype=np.uint8)[:, None, None].repeat(256, 1).repeat(3, 2)
    labels = np.ascontiguousarray(np.arange(256, dtype=np.uint8)[None].repeat(256, 0))
    result = render(OverlayRenderer(GAPS, alpha=alpha, legend=False), image, labels)
    untouched = [class_id for class_id in range(256) if class_id not in (0, 7)]
    np.testing.assert_array_equal(result[:, untouched], image[:, untouched])
    assert (alpha == 0) == np.array_equal(result, image)


def test_classes_hidden_by_the_caller_are_untouched() -> None:
    image, labels = street(60, 80)
    result = render(
        OverlayRenderer(CITYSCAPES, hidden_classes=[0, 10], legend=False), image, labels
    )
    hidden = np.isin(labels, [0, 10, 255])
    np.testing.assert_array_equal(result[hidden], image[hidden])
    plain = render(OverlayRenderer(CITYSCAPES, legend=False), image, labels)
    np.testing.assert_array_equal(result[~hidden], plain[~hidden])


def test_alpha_one_gives_the_colours_exactly() -> None:
    image, labels = street(31, 47)
    result = render(OverlayRenderer(CITYSCAPES, alpha=1.0, legend=False), image, labels)
    expected = np.where((labels == 255)[..., None], image, CITYSCAPES.color_table[labels])
    np.testing.assert_array_equal(result, expected)


def test_alpha_zero_gives_the_image_exactly() -> None:
    image, labels = street(31, 47)
    result = render(OverlayRenderer(CITYSCAPES, alpha=0.0, legend=False), image, labels)
    np.testing.assert_array_equal(result, image)


def test_inputs_stay_as_they_are_and_the_result_is_the_callers() -> None:
    image, labels = street(240, 320)
    before = image.copy(), labels.copy()
    renderer = OverlayRenderer(CITYSCAPES)
    first = render(renderer, image, labels)
    expected = first.copy()
    first[...] = 0
    np.testing.assert_array_equal(render(renderer, image, labels), expected)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(labels, before[1])


def test_strided_views_give_the_same_contiguous_picture() -> None:
    image, labels = street(50, 60)
    renderer = OverlayRenderer(CITYSCAPES)
    planar = torch.from_numpy(image).permute(2, 0, 1).contiguous().permute(1, 2, 0)
    columns = torch.from_numpy(labels).T.contiguous().T
    result = renderer.render(planar, columns)
    np.testing.assert_array_equal(result, render(renderer, image, labels))
    assert result.flags.c_contiguous


def test_legend_lists_the_visible_classes_present() -> None:
    image = np.full((480, 640, 3), 200, np.uint8)
    labels = np.full((480, 640), 255, np.uint8)
    for class_id in (0, 8, 13, 18):
        labels[300:, class_id * 30 : class_id * 30 + 30] = class_id
    renderer = OverlayRenderer(CITYSCAPES, hidden_classes=[13])
    assert swatches(render(renderer, image, labels)) == {0, 8, 18}


def test_legend_leaves_out_what_covers_less_than_a_thousandth() -> None:
    image = np.full((480, 640, 3), 200, np.uint8)
    labels = np.full((480, 640), 0, np.uint8)
    labels[440:460, 400:420] = 8
    labels[440:444, 600:604] = 13
    result = render(OverlayRenderer(CITYSCAPES), image, labels)
    assert swatches(result) == {0, 8}
    assert (result[441, 601] != result[430, 601]).any()


def swatches(picture: Array) -> set[int]:
    """Classes whose pure colour fills some area; the blend at half opacity shows none pure."""
    return {
        entry.id
        for entry in CITYSCAPES.classes
        if (picture == np.array(entry.color, np.uint8)).all(axis=2).sum() > 30
    }


@pytest.mark.parametrize("alpha", [-0.01, 1.01, float("nan")])
def test_alpha_out_of_range_is_refused(alpha: float) -> None:
    with pytest.raises(InputError, match=r"overlay alpha: got .*; allowed 0.0 to 1.0"):
        OverlayRenderer(CITYSCAPES, alpha=alpha)


def test_unknown_hidden_class_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown class id '19'"):
        OverlayRenderer(CITYSCAPES, hidden_classes=[19])


@pytest.mark.parametrize(
    ("image", "labels", "message"),
    [
        (torch.zeros(4, 5, dtype=torch.uint8), torch.zeros(4, 5), r"image: got \(4, 5\)"),
        (torch.zeros(3, 4, 5, dtype=torch.uint8), torch.zeros(4, 5), r"image: got \(3, 4, 5\)"),
        (torch.zeros(4, 5, 3), torch.zeros(4, 5), "image: got .* torch.float32"),
        (
            torch.zeros(4, 5, 3, dtype=torch.uint8),
            torch.zeros(4, 5),
            r"labels: got \(4, 5\) torch.float32; allowed \(4, 5\) torch.uint8",
        ),
        (
            torch.zeros(4, 5, 3, dtype=torch.uint8),
            torch.zeros(2, 5, dtype=torch.uint8),
            r"labels: got \(2, 5\) torch.uint8; allowed \(4, 5\)",
        ),
        (
            torch.zeros(0, 5, 3, dtype=torch.uint8),
            torch.zeros(0, 5, dtype=torch.uint8),
            r"labels: got \(0, 5\)",
        ),
        (
            torch.zeros(4, 5, 3, dtype=torch.uint8, device="meta"),
            torch.zeros(4, 5, dtype=torch.uint8),
            "got image on meta, labels on cpu; allowed cpu",
        ),
    ],
    ids=["gray", "planar", "float image", "float labels", "other size", "empty", "other device"],
)
def test_inputs_that_do_not_fit_are_refused(
    image: torch.Tensor, labels: torch.Tensor, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        OverlayRenderer(CITYSCAPES).render(image, labels)


@pytest.mark.cuda
def test_cuda_gives_the_picture_of_the_cpu() -> None:
    image, labels = street(480, 640)
    expected = render(OverlayRenderer(CITYSCAPES), image, labels)
    renderer = OverlayRenderer(CITYSCAPES, device="cuda")
    result = renderer.render(torch.from_numpy(image).cuda(), torch.from_numpy(labels).cuda())
    np.testing.assert_array_equal(result, expected)
