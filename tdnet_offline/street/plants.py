"""Trees, bushes and hedges as models: rods for trunks, pictures for crowns."""

from __future__ import annotations

import numpy as np

from tdnet_offline.street.catalogue import Catalogue
from tdnet_offline.street.materials import Material
from tdnet_offline.street.model import Colour, Model, ModelBuilder


def draw_tree(rng: np.random.Generator, catalogue: Catalogue, size: float = 1.0) -> Model:
    """Draw a broad-leaved tree, or now and then a conifer; ``size`` scales it."""
    build = ModelBuilder()
    bark: Colour = ((88, 72, 58), (112, 98, 84), (70, 60, 52))[int(rng.integers(3))]
    height = size * float(rng.uniform(5.5, 10.0))
    if rng.random() < 0.15:
        build.capsule((0.0, 0.0, 0.0), (0.0, 0.0, 1.2), 0.14 * size, bark, Material.VEGETATION)
        build.billboard((0.0, 0.0, 0.5), height * 0.48, height, catalogue.conifer)
        return build.build((-0.3, 0.3, -0.3, 0.3), height)
    crown = catalogue.crowns[int(rng.integers(len(catalogue.crowns)))]
    clear, width = height * float(rng.uniform(0.28, 0.4)), height * float(rng.uniform(0.62, 0.85))
    thick = 0.022 * height
    lean = float(rng.normal(0, 0.12))
    fork = (lean, 0.0, clear * 1.15)
    build.capsule((0.0, 0.0, 0.0), fork, (thick * 1.25, thick * 0.85), bark, Material.VEGETATION)
    for sign in (-1, 1):
        tip = (lean + sign * width * 0.2, 0.0, clear * 1.15 + height * 0.25)
        build.capsule(fork, tip, (thick * 0.6, thick * 0.3), bark, Material.VEGETATION)
    # The painted crown fills about 70 % of its picture.
    build.billboard((lean, 0.0, clear * 0.62), width * 1.3, height - clear * 0.5, crown)
    return build.build((-0.3, 0.3, -0.3, 0.3), height)


def draw_bush(rng: np.random.Generator, catalogue: Catalogue) -> Model:
    """Draw a bush."""
    build = ModelBuilder()
    width = float(rng.uniform(1.0, 2.2))
    texture = catalogue.bushes[int(rng.integers(len(catalogue.bushes)))]
    build.billboard((0.0, 0.0, -0.1), width, width * float(rng.uniform(0.6, 0.9)), texture)
    return build.build((-width / 3, width / 3, -0.3, 0.3), width * 0.5)
