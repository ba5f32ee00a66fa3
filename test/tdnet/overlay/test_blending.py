"""Both blenders against the formula and against each other."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tdnet.overlay.blending import BlendTables, CpuBlender, DeviceBlender

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
Array = npt.NDArray[np.uint8]


def random_frame(height: int, width: int, seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    return image, rng.integers(0, 256, (height, width), np.uint8)


def random_tables(steps: int, seed: int) -> tuple[BlendTables, Array, npt.NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    colors = rng.choice([0, 1, 127, 128, 254, 255], (256, 3)).astype(np.uint8)
    visible = rng.random(256) < 0.7
    return BlendTables.create(colors, visible, steps / 128), colors, visible


def blend(blender: CpuBlender | DeviceBlender, image: Array, labels: Array, device: str) -> Array:
    return blender.blend(torch.from_numpy(image).to(device), torch.from_numpy(labels).to(device))


@pytest.mark.parametrize("kind", ["host", *(f"device {device}" for device in DEVICES)])
@settings(deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    steps=st.integers(0, 128),
    seed=st.integers(0, 99),
)
def test_blend_equals_the_formula(
    kind: str, height: int, width: int, steps: int, seed: int
) -> None:
    tables, colors, visible = random_tables(steps, seed)
    image, labels = random_frame(height, width, seed)
    device = kind.split()[-1] if kind != "host" else "cpu"
    blender = CpuBlender(tables) if kind == "host" else DeviceBlender(tables, torch.device(device))
    result = blend(blender, image, labels, device)
    alpha = steps / 128
    exact = (1 - alpha) * image.astype(float) + alpha * colors[labels]
    seen = visible[labels]
    assert result.dtype == np.uint8
    assert result.shape == image.shape
    assert np.abs(result - exact)[seen].max(initial=0) <= 1.5
    np.testing.assert_array_equal(result[~seen], image[~seen])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("steps", [0, 1, 51, 64, 127, 128])
def test_host_and_device_give_the_same_bytes(device: str, steps: int) -> None:
    tables, _, _ = random_tables(steps, seed=1)
    # Every value of a byte meets every class id.
    image = np.arange(256, dtype=np.uint8)[:, None, None].repeat(256, 1).repeat(3, 2)
    labels = np.ascontiguousarray(np.arange(256, dtype=np.uint8)[None].repeat(256, 0))
    host = blend(CpuBlender(tables), image, labels, "cpu")
    there = blend(DeviceBlender(tables, torch.device(device)), image, labels, device)
    np.testing.assert_array_equal(host, there)
