"""The kernel against `Postprocessor` and `DeviceBlender`, on a GPU or in Triton's interpreter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tdnet.backends.cuda.kernels import FusedOutputs, OutputBuffers, Paint
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet.frames.postprocess import Postprocessor
from tdnet.overlay.blending import BlendTables, DeviceBlender

CPU = torch.device("cpu")


def random_logits(
    classes: int, size: tuple[int, int], *, scale: float = 3.0, seed: int = 0
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(1, classes, *size, generator=generator)


def random_pixels(size: tuple[int, int], seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (*size, 3), dtype=torch.uint8, generator=generator)


def clear(logits: torch.Tensor, size: tuple[int, int], threshold: float) -> torch.Tensor:
    """Return the pixels whose label does not depend on rounding, (H, W) bool."""
    large = torch.nn.functional.interpolate(
        logits.double(), size, mode="bilinear", align_corners=True
    )[0]
    probability = large.softmax(0).amax(0)
    if large.shape[0] == 1:
        return torch.ones(size, dtype=torch.bool)
    best, second = large.topk(2, dim=0).values
    return (best - second > 1e-3) & ((probability - threshold).abs() > 1e-3)


def check(
    logits: torch.Tensor,
    size: tuple[int, int],
    device: torch.device,
    *,
    class_map: ClassMap | None = None,
    threshold: float = 0.0,
    largest_difference: float = 1,
) -> torch.Tensor:
    """Check labels and confidence against `Postprocessor`; return the labels."""
    class_map = class_map or ClassMap.numbered(logits.shape[1])
    buffers = OutputBuffers.create(size, device, confidence=True, overlay=False, counts=True)
    FusedOutputs(class_map, device)(logits.to(device), buffers, threshold=threshold)
    expected = Postprocessor(class_map, CPU)(
        logits.float().contiguous(), size, confidence=True, threshold=threshold
    )
    labels = buffers.labels.cpu()
    sure = clear(logits.float(), size, threshold)
    assert sure.float().mean() > 0.9
    assert torch.equal(labels[sure], expected.labels[sure])
    assert buffers.confidence is not None
    assert expected.confidence is not None
    apart = buffers.confidence.cpu().int() - expected.confidence.int()
    assert apart.abs().max() <= largest_difference
    assert buffers.counts is not None
    found = torch.bincount(labels.flatten(), minlength=256)
    assert torch.equal(buffers.counts.cpu().long(), found)
    return labels


@pytest.mark.parametrize(
    ("classes", "feature", "size"),
    [
        (19, (3, 5), (7, 33)),
        (19, (1, 1), (5, 7)),
        (19, (1, 6), (1, 1)),
        (19, (9, 17), (3, 5)),
        (19, (5, 9), (5, 9)),
        (4, (2, 7), (3, 300)),  # more than one block of a row, the last one broken
        (1, (3, 4), (4, 9)),
        (150, (2, 3), (2, 11)),
        (255, (2, 3), (1, 11)),
    ],
    ids=str,
)
def test_equals_the_postprocessor(
    classes: int, feature: tuple[int, int], size: tuple[int, int], device: torch.device
) -> None:
    check(random_logits(classes, feature), size, device)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "layout", [torch.contiguous_format, torch.channels_last], ids=["planes", "channels last"]
)
def test_every_number_format_and_layout(
    dtype: torch.dtype, layout: torch.memory_format, device: torch.device
) -> None:
    logits = random_logits(11, (4, 6)).to(dtype).contiguous(memory_format=layout)
    check(logits, (7, 21), device)


def test_a_slice_of_a_larger_tensor(device: torch.device) -> None:
    """Logits in the layout of a head with a batch, or with more channels than classes."""
    check(random_logits(24, (6, 14))[:, 2:21, 1:5, ::2], (9, 21), device)


def test_threshold_and_class_map(device: torch.device) -> None:
    class_map = ClassMap.from_yaml(
        """
name: merged
network: cityscapes
classes:
  - {id: 7, name: ground, color: [10, 20, 30], from: [road, sidewalk]}
  - {id: 3, name: car, color: [0, 0, 255], from: [car]}
rest: unlabelled
""",
        "merged.yaml",
    )
    logits = random_logits(19, (5, 9), scale=2.0)
    logits[:, 0] += 2
    labels = check(logits, (7, 33), device, class_map=class_map, threshold=0.5)
    assert set(labels.unique().tolist()) == {3, 7, 255}


@pytest.mark.parametrize(
    ("value", "channels"),
    [
        ("nan", slice(None)),
        ("nan", slice(0, 1)),
        ("nan", slice(6, 7)),
        ("inf", slice(None)),
        ("inf", slice(3, 4)),
        ("-inf", slice(None)),
        ("-inf", slice(0, 1)),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, in the interpreter
def test_an_overflow_is_unlabelled_and_never_the_first_class(
    value: str, channels: slice, device: torch.device
) -> None:
    logits = torch.zeros(1, 7, 5, 9)
    logits[:, 4] = 5.0
    logits[:, channels, 1:3, 3:6] = float(value)
    size = (17, 33)
    buffers = OutputBuffers.create(size, device, confidence=True, overlay=False, counts=False)
    class_map = ClassMap.numbered(7)
    FusedOutputs(class_map, device)(logits.to(device), buffers, threshold=0.0)
    expected = Postprocessor(class_map, CPU)(logits, size, confidence=True, threshold=0.0)
    assert buffers.confidence is not None
    # Four pixels to a cell: the broken ones, then those that no broken logit touches.
    inside = (slice(4, 9), slice(12, 21))
    assert set(buffers.labels[inside].cpu().flatten().tolist()) == {255}
    assert not buffers.confidence[inside].any()
    for outside in [(slice(13, 17), slice(None)), (slice(None), slice(25, 33))]:
        assert set(buffers.labels[outside].cpu().flatten().tolist()) == {4}
        assert torch.equal(buffers.labels[outside].cpu(), expected.labels[outside])


def test_a_score_beyond_half_precision_is_compared_all_the_same(device: torch.device) -> None:
    logits = torch.zeros(1, 3, 2, 2, dtype=torch.float16)
    logits[:, 1, 0], logits[:, 1, 1] = 65504, -65504
    logits[:, 2] = 10
    # On a CPU, confidence takes scores of one cell as at most 80 apart, so that halfway between
    # such scores it is 0.5.
    labels = check(logits, (5, 8), device, largest_difference=127)
    assert set(labels.unique().tolist()) == {1, 2}


def tables(classes: int, hidden: list[int], alpha: float) -> BlendTables:
    visible = np.arange(256) < classes
    visible[hidden] = False
    colors = np.random.default_rng(2).integers(0, 256, (256, 3)).astype(np.uint8)
    return BlendTables.create(colors, visible, alpha)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 0.5, 1.0])
def test_overlay_is_that_of_the_blender(alpha: float, device: torch.device) -> None:
    size = (7, 40)
    logits = random_logits(6, (4, 9))
    pixels = random_pixels(size)
    blend_tables = tables(6, [2, 5], alpha)
    buffers = OutputBuffers.create(size, device, confidence=False, overlay=True, counts=False)
    FusedOutputs(ClassMap.numbered(6), device)(
        logits.to(device),
        buffers,
        threshold=0.6,
        pixels=pixels.to(device),
        paint=Paint(blend_tables, device),
    )
    labels = buffers.labels.cpu()
    assert set(labels.unique().tolist()) == {0, 1, 2, 3, 4, 5, 255}
    expected = DeviceBlender(blend_tables, CPU).blend(pixels, labels)
    assert buffers.overlay is not None
    np.testing.assert_array_equal(buffers.overlay.cpu().numpy(), expected)


def test_everything_at_once_is_what_each_is_alone(device: torch.device) -> None:
    size = (4, 30)
    logits = random_logits(6, (3, 5)).to(device)
    pixels = random_pixels(size).to(device)
    paint = Paint(tables(6, [1], 0.5), device)
    outputs = FusedOutputs(ClassMap.numbered(6), device)

    def make(**wanted: bool) -> OutputBuffers:
        buffers = OutputBuffers.create(size, device, **wanted)
        outputs(logits, buffers, threshold=0.5, pixels=pixels, paint=paint)
        return buffers

    whole = make(confidence=True, overlay=True, counts=True)
    nothing = {"confidence": False, "overlay": False, "counts": False}
    for name in nothing:
        alone = make(**{**nothing, name: True})
        assert torch.equal(alone.labels, whole.labels)
        assert torch.equal(getattr(alone, name), getattr(whole, name))


def test_only_what_is_wanted_is_made(device: torch.device) -> None:
    size = (6, 20)
    logits = random_logits(5, (3, 5)).to(device)
    buffers = OutputBuffers.create(size, device, confidence=False, overlay=False, counts=False)
    FusedOutputs(ClassMap.numbered(5), device)(logits, buffers, threshold=0.0)
    assert buffers.confidence is None
    assert buffers.overlay is None
    assert buffers.counts is None
    expected = Postprocessor(ClassMap.numbered(5), CPU)(
        logits.cpu(), size, confidence=False, threshold=0.0
    )
    assert torch.equal(buffers.labels.cpu(), expected.labels)


def test_what_does_not_fit_is_refused(device: torch.device) -> None:
    outputs = FusedOutputs(ClassMap.numbered(5), device)
    logits = random_logits(5, (3, 5)).to(device)
    buffers = OutputBuffers.create((6, 20), device, confidence=True, overlay=True, counts=True)
    paint = Paint(tables(5, [], 0.5), device)
    pixels = random_pixels((6, 20)).to(device)
    with pytest.raises(InputError, match="logits of"):
        outputs(random_logits(6, (3, 5)).to(device), buffers, threshold=0.0)
    with pytest.raises(InputError, match="logits of"):
        outputs(logits.int(), buffers, threshold=0.0)
    with pytest.raises(InputError, match="needs pixels and paint"):
        outputs(logits, buffers, threshold=0.0, pixels=pixels)
    with pytest.raises(InputError, match="pixels of"):
        outputs(logits, buffers, threshold=0.0, pixels=pixels[1:], paint=paint)
    wide = random_pixels((6, 40)).to(device)[:, ::2]
    with pytest.raises(InputError, match="with gaps"):
        outputs(logits, buffers, threshold=0.0, pixels=wide, paint=paint)


@pytest.mark.cuda
@pytest.mark.parametrize("size", [(480, 640), (1024, 2048), (1080, 1920)], ids=str)
def test_real_sizes_on_a_gpu(size: tuple[int, int]) -> None:
    logits = random_logits(19, (97, 193)).half().contiguous(memory_format=torch.channels_last)
    check(logits, size, torch.device("cuda"), threshold=0.3)


@pytest.mark.cuda
def test_steady_state_on_a_gpu() -> None:
    """A call allocates nothing, and a replayed graph uses the new logits."""
    cuda, size = torch.device("cuda"), (480, 640)
    outputs = FusedOutputs(ClassMap.load("cityscapes"), cuda)
    buffers = OutputBuffers.create(size, cuda, confidence=True, overlay=True, counts=True)
    logits = (
        random_logits(19, (33, 65)).half().cuda().contiguous(memory_format=torch.channels_last)
    )
    pixels = random_pixels(size).cuda()
    paint = Paint(tables(19, [4], 0.5), cuda)

    def make() -> None:
        outputs(logits, buffers, threshold=0.2, pixels=pixels, paint=paint)

    make()
    torch.cuda.synchronize()
    before = torch.cuda.memory_stats()["allocation.all.allocated"]
    for _ in range(20):
        make()
    assert torch.cuda.memory_stats()["allocation.all.allocated"] == before

    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        make()
    first = buffers.labels.clone()
    logits.copy_(random_logits(19, (33, 65), seed=5).half())
    pixels.copy_(random_pixels(size, seed=5))
    graph.replay()
    replayed = [part.clone() for part in parts(buffers)]
    buffers.storage.zero_()
    make()
    for again, part in zip(replayed, parts(buffers), strict=True):
        assert torch.equal(again, part)
    assert not torch.equal(first, buffers.labels)
    assert buffers.counts is not None
    assert buffers.counts.sum() == size[0] * size[1]


def parts(buffers: OutputBuffers) -> list[torch.Tensor]:
    images = (buffers.labels, buffers.confidence, buffers.overlay, buffers.counts)
    return [image for image in images if image is not None]
