"""Weights and a bag for the tests of the demo."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.small_weights import small_weights

from tdnet_offline.street import StreetDrive
from tdnet_offline.street_bag import write_street_bag

FRAMES, RATE = 22, 10.0


@pytest.fixture(scope="session")
def weights() -> Path:
    return small_weights()


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag with images, camera info and labels."""
    path = tmp_path_factory.mktemp("street") / "bag"
    write_street_bag(path, StreetDrive(1_000_007, (90, 160), RATE), FRAMES)
    return path
