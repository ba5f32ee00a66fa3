"""What a run of the demo shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from demo.camera_bag import CameraBag


@dataclass(frozen=True)
class Subject:
    """What was shown.

    Attributes:
        source: where the frames come from, in words.
        bag: that was played.
        variant: the network.
        weights: its file; empty: the packaged weights.
        system: hardware and versions.
    """

    source: str
    bag: CameraBag
    variant: str
    weights: str
    system: Mapping[str, str]
