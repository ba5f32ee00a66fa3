"""The node that a run of the demo shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class NodeUnderTest:
    """The network that the node runs, and the machine.

    Attributes:
        variant: Name of the network.
        weights: Path of its weights file; empty: the packaged weights.
        system: Hardware and versions.
    """

    variant: str
    weights: str
    system: Mapping[str, str]
