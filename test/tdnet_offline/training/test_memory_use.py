"""What a run logs of its memory shows whether the network uses it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from support.training import little_config, logged, write_little

from tdnet.network.tdnet import ClipAttention
from tdnet.network.temporal_memory import Context
from tdnet_offline.training.module import memory_use
from tdnet_offline.training.runner import run_training

POSITIONS, TOKENS = 6, 8


def attention(sharpness: float, brought: torch.Tensor) -> ClipAttention:
    """Queries that attend to the key of their own number; the memory brings the given values."""
    generator = torch.Generator().manual_seed(1)
    key = torch.eye(POSITIONS)[None]
    query = sharpness * torch.eye(POSITIONS).repeat(2, 1)[None, :TOKENS]
    value = torch.randn(1, TOKENS, 4, generator=generator)
    return ClipAttention(Context(key, torch.zeros(1, POSITIONS, 4)), query, value, value + brought)


def test_entropy_is_that_of_the_weights() -> None:
    nothing = torch.zeros(1, TOKENS, 4)
    assert memory_use(attention(0, nothing))["attention_entropy"] == pytest.approx(1)
    assert memory_use(attention(100, nothing))["attention_entropy"] == pytest.approx(0, abs=1e-6)
    weights = np.array([math.e**2, 1, 1, 1, 1, 1]) / (math.e**2 + 5)
    expected = float(-(weights * np.log(weights)).sum() / math.log(POSITIONS))
    found = memory_use(attention(2, nothing))["attention_entropy"]
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_constant_that_the_norm_deletes_is_not_visible() -> None:
    constant = torch.full((1, TOKENS, 4), 7.0)
    assert memory_use(attention(1, constant))["visible_memory"] == pytest.approx(0, abs=1e-6)
    own = attention(1, torch.zeros(1, TOKENS, 4)).value
    assert memory_use(attention(1, own))["visible_memory"] == pytest.approx(0.5)
    assert memory_use(attention(1, 3 * own))["visible_memory"] == pytest.approx(0.9)


def test_a_run_logs_them(tmp_path: Path) -> None:
    data = write_little(tmp_path / "data")
    config = little_config(tmp_path, data, log_every=2)
    run_training(config)
    for name in ("memory_gain", "attention_entropy", "visible_memory"):
        assert list(logged(Path(config.output), f"memory/{name}")) == [2, 4]
    gain = logged(Path(config.output), "memory/memory_gain")
    assert all(math.isfinite(value) for value in gain.values())
    entropy = logged(Path(config.output), "memory/attention_entropy")
    assert all(0 < value < 1 for value in entropy.values())


def test_a_single_frame_network_logs_none(tmp_path: Path) -> None:
    data = write_little(tmp_path / "data")
    config = little_config(tmp_path, data, network__variant="psp18-nano")
    run_training(config)
    assert logged(Path(config.output), "memory/memory_gain") == {}
