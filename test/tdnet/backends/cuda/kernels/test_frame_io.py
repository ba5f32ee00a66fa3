"""Fused against plain frame I/O, on a GPU or in Triton's interpreter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.frames import drive

from tdnet import ClassMap, OutputOptions, OverlayRenderer
from tdnet.backends.cuda.fused_frame_io import FusedFrameIO
from tdnet.backends.cuda.kernels import FusedOutputs
from tdnet.errors import InputError
from tdnet.frames.frame_io import FrameImages, FrameIO, PlainFrameIO
from tdnet.frames.postprocess import Postprocessor
from tdnet.frames.preprocess import Preprocessor

# Triton's interpreter takes milliseconds for each class of each row.
NETWORK = (5, 33)
CAMERA = (7, 44)
CLASSES = 7
CLASS_MAP = ClassMap.numbered(CLASSES)


class BothIO:
    """Fused and plain frame I/O of one stream."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        frame = torch.zeros(1, 3, *NETWORK, device=device)
        self.frame = frame.to(memory_format=torch.channels_last)
        self.fused = FusedFrameIO(self.frame, FusedOutputs(CLASS_MAP, device))
        self.plain = PlainFrameIO(
            Preprocessor(NETWORK, device, torch.float32), Postprocessor(CLASS_MAP, device)
        )

    def logits(self, seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return 9 * torch.randn(1, CLASSES, 3, 5, generator=generator).to(self.device)

    def both(
        self, image: np.ndarray, options: OutputOptions, size: tuple[int, int], seed: int = 0
    ) -> tuple[FrameImages, FrameImages]:
        def go(one: FrameIO) -> FrameImages:
            marks: list[int] = []
            frame = one.preprocess(image)
            torch.testing.assert_close(frame, self.frame, atol=1e-4, rtol=0)
            images = one.postprocess(self.logits(seed), size, options, lambda: marks.append(1))()
            assert len(marks) == 3
            return images

        return go(self.fused), go(self.plain)

    def renderer(self, legend: bool = True) -> OverlayRenderer:
        return OverlayRenderer(CLASS_MAP, legend=legend, device=self.device)


@pytest.fixture
def io(device: torch.device) -> BothIO:
    return BothIO(device)


def same(one: np.ndarray | None, other: np.ndarray | None, within: int = 0) -> bool:
    if one is None or other is None:
        return one is other
    if one.shape != other.shape:
        return False
    # If two classes have the same score up to rounding, either is right.
    apart = np.abs(one.astype(int) - other.astype(int)) > within
    return bool(apart.mean() < 0.01)


@pytest.mark.parametrize(
    ("size", "overlay", "confidence"),
    [(CAMERA, True, True), (CAMERA, False, False), (NETWORK, True, False), ((11, 9), True, True)],
    ids=["all", "labels", "network's size", "another size"],
)
def test_images_are_the_same(
    io: BothIO, size: tuple[int, int], overlay: bool, confidence: bool
) -> None:
    options = OutputOptions(
        confidence=confidence,
        confidence_threshold=0.3,
        overlay=io.renderer() if overlay else None,
    )
    fused, plain = io.both(drive(1, *CAMERA)[0], options, size)
    assert len(np.unique(fused.labels)) > 5
    assert same(fused.labels, plain.labels)
    assert same(fused.confidence, plain.confidence, within=1)
    assert same(fused.overlay, plain.overlay, within=1)
    assert (fused.overlay is None) == (not overlay)


def test_the_legend_is_drawn(io: BothIO) -> None:
    size = (48, 96)
    logits = io.logits(0)
    logits[:, 3] += 100  # more entries than one would not fit
    images = []
    for one, legend in ((io.fused, True), (io.plain, True), (io.plain, False)):
        one.preprocess(drive(1, *size)[0])
        options = OutputOptions(confidence=False, overlay=io.renderer(legend))
        images.append(one.postprocess(logits, size, options, lambda: None)())
    fused, plain, without = (item.overlay for item in images)
    assert same(fused, plain, within=1)
    assert not same(fused, without, within=1)
    assert images[0].after_download > 0


def test_pictures_of_any_layout_enter(io: BothIO) -> None:
    image = drive(1, CAMERA[0], CAMERA[1] + 6)[0]
    frozen = image[:, : CAMERA[1]].copy()
    frozen.flags.writeable = False
    for picture in (image[:, 6:], image[::-1, : CAMERA[1]], frozen):
        io.both(picture, OutputOptions(), CAMERA)


def test_results_are_the_callers_own(io: BothIO) -> None:
    options = OutputOptions(overlay=io.renderer())
    first, _ = io.both(drive(2, *CAMERA)[0], options, CAMERA, seed=1)
    kept = [np.copy(image) for image in first[:3]]
    io.both(drive(2, *CAMERA)[1], options, CAMERA, seed=2)
    for image, copy in zip(first[:3], kept, strict=True):
        np.testing.assert_array_equal(image, copy)


def test_another_camera_size_is_met(io: BothIO) -> None:
    for height, width in (CAMERA, (4, 50), CAMERA):
        fused, plain = io.both(drive(1, height, width)[0], OutputOptions(), (height, width))
        assert same(fused.labels, plain.labels)


def test_a_size_that_found_no_memory_is_tried_again(
    io: BothIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = drive(1, *CAMERA)[0]

    def full(*_: object, **__: object) -> torch.Tensor:
        raise RuntimeError("CUDA out of memory")

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(torch, "empty", full)
            with pytest.raises(RuntimeError, match="out of memory"):
                io.fused.preprocess(image)
    fused, plain = io.both(image, OutputOptions(), CAMERA)
    assert same(fused.labels, plain.labels)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 5), np.uint8), np.zeros((4, 5, 3), np.float32)], ids=["grey", "float"]
)
def test_what_is_no_picture_is_refused(io: BothIO, image: np.ndarray) -> None:
    with pytest.raises(InputError, match="allowed is"):
        io.fused.preprocess(image)


@pytest.mark.cuda
def test_the_device_allocates_nothing_in_steady_state() -> None:
    io = BothIO(torch.device("cuda"))
    options = OutputOptions(overlay=io.renderer())
    image, logits = drive(1, *CAMERA)[0], io.logits(0)

    def frame() -> None:
        io.fused.preprocess(image)
        io.fused.postprocess(logits, CAMERA, options, lambda: None)()

    for _ in range(3):
        frame()
    before = torch.cuda.memory_stats()["allocation.all.allocated"]
    for _ in range(20):
        frame()
    assert torch.cuda.memory_stats()["allocation.all.allocated"] == before
