from __future__ import annotations

import pytest
import torch

from tdnet.frames.cpu_resize import CpuResize

SCALE, OFFSET = torch.tensor([0.5, 1.0, 2.0]), torch.tensor([-3.0, 0.0, 10.0])


def expected(picture: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    planes = picture.permute(2, 0, 1)[None].double()
    resized = torch.nn.functional.interpolate(planes, size, mode="bilinear", antialias=True)
    return resized * SCALE.view(1, 3, 1, 1) + OFFSET.view(1, 3, 1, 1)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((48, 64), (33, 65)),
        ((97, 131), (40, 50)),
        ((20, 30), (65, 129)),
        ((65, 200), (65, 129)),
        ((400, 1), (33, 40)),
        ((1, 1), (3, 5)),
        ((300, 500), (7, 3)),
        ((129, 65), (128, 64)),
    ],
    ids=str,
)
def test_equals_antialiased_interpolation(
    source: tuple[int, int], target: tuple[int, int]
) -> None:
    generator = torch.Generator().manual_seed(0)
    picture = torch.randint(0, 256, (*source, 3), dtype=torch.uint8, generator=generator)
    result = CpuResize(source, target, SCALE, OFFSET)(picture)
    assert result.shape == (1, 3, *target)
    assert result.dtype == torch.float32
    assert result.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(result.double(), expected(picture, target), rtol=1e-4, atol=2e-3)


def test_a_part_of_a_larger_picture() -> None:
    generator = torch.Generator().manual_seed(0)
    large = torch.randint(0, 256, (60, 80, 3), dtype=torch.uint8, generator=generator)
    for part in (large[:, 10:50], large.flip(1)[5:40], large[..., [2, 1, 0]]):
        result = CpuResize(tuple(part.shape[:2]), (33, 41), SCALE, OFFSET)(part)
        torch.testing.assert_close(result.double(), expected(part, (33, 41)), rtol=1e-4, atol=2e-3)
