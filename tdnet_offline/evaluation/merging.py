"""Parts of an evaluation become one: what several processes measured, or several bags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tdnet_offline.evaluation.result import Counts, Evaluation, WithheldMemory
from tdnet_offline.evaluation.worst_frames import worst_of


def merge(parts: Sequence[Evaluation], videos: Sequence[str], worst: int) -> Evaluation:
    """Add up evaluations of different videos with the same setting.

    Args:
        parts: one or more.
        videos: names of all videos, in the order that the frames shall have.
        worst: how many of the worst frames are kept.

    Returns:
        The evaluation that one process would have made of all videos; its time is the longest.
    """
    place = {name: number for number, name in enumerate(videos)}
    records = [record for part in parts for record in part.frames]
    keys = sorted({key for part in parts for key in part.confusions})
    return replace(
        parts[0],
        confusions={
            key: _sum([p.confusions[key] for p in parts if key in p.confusions]) for key in keys
        },
        boundary=_sum([part.boundary for part in parts]),
        consistency=_sum([part.consistency for part in parts]),
        truth_consistency=_total([part.truth_consistency for part in parts]),
        frames=tuple(sorted(records, key=lambda record: (place[record.video], record.index))),
        dropped=_by_video([part.dropped for part in parts], place),
        refused=_by_video([part.refused for part in parts], place),
        seconds=max(part.seconds for part in parts),
        worst=tuple(worst_of([frame for part in parts for frame in part.worst], worst)),
        available=_total([part.available for part in parts]),
        waited_seconds=sum(part.waited_seconds for part in parts),
        withheld_memory=add_withheld([part.withheld_memory for part in parts]),
    )


def add_withheld(parts: Sequence[WithheldMemory | None]) -> WithheldMemory | None:
    """Add up what different frames lose without their memory; None if nothing was measured."""
    there = [part for part in parts if part is not None]
    if not there:
        return None
    return WithheldMemory(
        frames=sum(part.frames for part in there),
        used=_sum([part.used for part in there]),
        withheld=_sum([part.withheld for part in there]),
        pixels=sum(part.pixels for part in there),
        changed=sum(part.changed for part in there),
    )


def _total(counts: Sequence[Counts | None]) -> Counts | None:
    there = [part for part in counts if part is not None]
    return _sum(there) if there else None


def _sum(counts: Sequence[Counts]) -> Counts:
    return np.asarray(np.sum(counts, axis=0), np.int64)


def _by_video(parts: Sequence[Mapping[str, int]], place: Mapping[str, int]) -> dict[str, int]:
    together = {name: count for part in parts for name, count in part.items()}
    return {name: together[name] for name in sorted(together, key=place.__getitem__)}
