"""Which stretches of a long recording belong to its sparse labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LEAD_IN = 30
"""Frames before a labelled one: a second, to fill any memory."""
LONGEST_GAP = 60
"""Frames between two labelled ones above which what lies between is left out."""


@dataclass(frozen=True)
class Stretch:
    """Neighbouring frames by number, with labels on some.

    Attributes:
        first: number of the first frame.
        labelled: numbers of the labelled frames, ascending; the last ends the stretch.
    """

    first: int
    labelled: tuple[int, ...]

    @property
    def numbers(self) -> range:
        """All its frames."""
        return range(self.first, self.labelled[-1] + 1)


def stretches(labelled: Sequence[int], first: int = 0) -> Iterator[Stretch]:
    """Yield the stretches around labelled frames: what lies between them, and a lead-in.

    Args:
        labelled: numbers of the labelled frames, ascending.
        first: the smallest number that a frame may have.
    """
    group: list[int] = []
    for number in labelled:
        if group and number - group[-1] > LONGEST_GAP:
            yield Stretch(first, tuple(group))
            first = max(group[-1] + 1, number - LEAD_IN)
            group = []
        if not group:
            first = max(first, number - LEAD_IN)
        group.append(number)
    if group:
        yield Stretch(first, tuple(group))
