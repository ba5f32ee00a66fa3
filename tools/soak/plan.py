"""Which fault comes when."""

from __future__ import annotations

from collections.abc import Iterator

from tools.soak.faults import FAULTS, Fault, node_killed

NODE_KILLED = "node killed"
LONGEST, SHORTEST = 20.0, 4.0


def phase_seconds(seconds: float) -> float:
    """Give the length of a phase, so that a run has at least one round."""
    return min(LONGEST, max(SHORTEST, seconds / (len(FAULTS) + 2) / 1.5))


def rounds() -> Iterator[tuple[str, Fault]]:
    """Yields faults without end, the node's death first: its next life is watched for long."""
    yield NODE_KILLED, node_killed
    while True:
        yield from FAULTS.items()
