"""The kernel against PyTorch's own resize, on a GPU or in Triton's interpreter."""

from __future__ import annotations

import pytest
import torch

from tdnet.backends.cuda.kernels import FramePlan
from tdnet.errors import InputError
from tdnet.frames.preprocess import MEAN, STD, resize_picture

CPU = torch.device("cpu")
# Numbers below 4: half a step; in bfloat16 a whole step, since the interpreter truncates.
STEP = {torch.float32: 0.0, torch.float16: 1e-3, torch.bfloat16: 1.6e-2}


def random_pixels(size: tuple[int, int], seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (*size, 3), dtype=torch.uint8, generator=generator)


def new_frame(size: tuple[int, int], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    frame = torch.full((1, 3, *size), float("nan"), dtype=dtype, device=device)
    return frame.contiguous(memory_format=torch.channels_last)


def check(
    camera: tuple[int, int],
    network: tuple[int, int],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> None:
    pixels = random_pixels(camera)
    frame = new_frame(network, dtype, device)
    FramePlan(camera, network, device)(pixels.to(device), frame)
    mean, std = torch.tensor([MEAN, STD]).view(2, 3, 1, 1)
    expected = (resize_picture(pixels, network) / 255 - mean) / std
    # PyTorch computes tap positions in float32, to 6e-8 of the image size; one grey level is 0.02.
    tolerance = STEP[dtype] + 1e-4 + 1e-6 * max(camera)
    torch.testing.assert_close(frame.float().cpu(), expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    ("camera", "network"),
    [
        ((1, 1), (1, 1)),
        ((7, 15), (7, 15)),
        ((5, 8), (9, 17)),
        ((25, 31), (9, 17)),
        ((3, 40), (7, 17)),
        ((2, 2), (1, 2)),
        ((4, 260), (3, 181)),  # more than one block of a row
    ],
    ids=str,
)
def test_equals_pytorch(
    camera: tuple[int, int], network: tuple[int, int], device: torch.device
) -> None:
    check(camera, network, device)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_every_precision(dtype: torch.dtype, device: torch.device) -> None:
    check((6, 30), (5, 17), device, dtype)


def test_what_does_not_fit_is_refused(device: torch.device) -> None:
    plan = FramePlan((4, 6), (3, 5), device)
    pixels = random_pixels((4, 6)).to(device)
    frame = new_frame((3, 5), torch.float32, device)
    with pytest.raises(InputError, match="pixels of"):
        plan(random_pixels((4, 7)).to(device), frame)
    with pytest.raises(InputError, match="pixels of"):
        plan(pixels.float(), frame)
    with pytest.raises(InputError, match="frame of"):
        plan(pixels, new_frame((3, 6), torch.float32, device))
    with pytest.raises(InputError, match="with gaps"):
        plan(pixels, frame.contiguous())
    with pytest.raises(InputError, match="with gaps"):
        plan(random_pixels((4, 12)).to(device)[:, ::2], frame)


@pytest.mark.cuda
@pytest.mark.parametrize("camera", [(480, 640), (1024, 2048), (1080, 1920)], ids=str)
def test_real_sizes_on_a_gpu(camera: tuple[int, int]) -> None:
    check(camera, (769, 1537), torch.device("cuda"), torch.float16)


@pytest.mark.cuda
def test_steady_state_on_a_gpu() -> None:
    """A call allocates nothing, and a replayed graph uses the new pixels."""
    cuda, camera, network = torch.device("cuda"), (480, 640), (257, 513)
    plan = FramePlan(camera, network, cuda)
    pixels = random_pixels(camera).cuda()
    frame = new_frame(network, torch.float16, cuda)
    plan(pixels, frame)
    torch.cuda.synchronize()
    before = torch.cuda.memory_stats()["allocation.all.allocated"]
    for _ in range(20):
        plan(pixels, frame)
    assert torch.cuda.memory_stats()["allocation.all.allocated"] == before

    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        plan(pixels, frame)
    pixels.copy_(random_pixels(camera, seed=1))
    graph.replay()
    replayed = frame.clone()
    frame.zero_()
    plan(pixels, frame)
    assert torch.equal(replayed, frame)
    assert frame.float().std() > 0.5
