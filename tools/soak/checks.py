"""The checks of a whole run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tools.soak.phase import STEADY, Phase
from tools.soak.run import RunRecord, RunSample

# Allowed growth between the first and the last quarter of the node's longest life: difference of
# the medians over steady phases. The first steady phase does not count, since the first round of
# faults has not yet loaded a larger model.
MEMORY_GROWTH_MIB = 24.0
THREAD_GROWTH = 2
FILE_GROWTH = 8
# Growth of a shorter life is not judged: a quarter must hold a round of faults.
MIN_LIFE_SECONDS = 1200.0
# A frame waits for the frame before it and is then processed; the rest is transport and noise.
AGE_FRAMES, AGE_MARGIN_MS = 3.0, 250.0


def failed_checks(record: RunRecord) -> list[str]:
    """Return a line for each failed check of a run; empty: all checks pass."""
    problems = list(record.problems)
    for phase in record.phases:
        problems += [f"{phase.fault}: {text}" for text in _first(phase.problems)]
        problems += _age(phase)
    growth = memory_growth(record.samples)
    if growth is not None and growth > MEMORY_GROWTH_MIB:
        problems.append(f"memory grew by {growth:.1f} MiB, allowed are {MEMORY_GROWTH_MIB:g}")
    for what, value, allowed in (
        ("MiB on the device", lambda sample: sample.device_mib or 0.0, MEMORY_GROWTH_MIB),
        ("threads", lambda sample: sample.usage.threads, THREAD_GROWTH),
        ("open files", lambda sample: sample.usage.files, FILE_GROWTH),
    ):
        grown = _growth(record.samples, value)
        if grown is not None and grown > allowed:
            problems.append(f"{what} grew by {grown:g}, allowed are {allowed}")
    if record.exit_status != 0:
        problems.append(f"the node ended with status {record.exit_status}")
    return problems


def memory_growth(samples: Sequence[RunSample]) -> float | None:
    """Return MiB between the first and the last quarter; None: the run was too short."""
    return _growth(samples, lambda sample: sample.usage.own_mib)


def _growth(samples: Sequence[RunSample], value: Callable[[RunSample], float]) -> float | None:
    if not samples:
        return None
    lives = [sample.life for sample in samples]
    longest = max(set(lives), key=lives.count)
    life = [s for s in samples if s.life == longest]
    begin, length = life[0].seconds, life[-1].seconds - life[0].seconds
    settled = _first_steady_end(life)
    steady = [s for s in life if s.fault == STEADY and s.seconds > settled]
    first = [value(s) for s in steady if s.seconds - begin < length / 4]
    last = [value(s) for s in steady if s.seconds - begin > length * 3 / 4]
    if length < MIN_LIFE_SECONDS or not first or not last:
        return None
    return float(np.median(last) - np.median(first))


def _first_steady_end(life: Sequence[RunSample]) -> float:
    """Return when the first steady phase ends; infinity if there is none, or nothing after it."""
    begin = next((s.seconds for s in life if s.fault == STEADY), math.inf)
    return next((s.seconds for s in life if s.seconds > begin and s.fault != STEADY), math.inf)


def _age(phase: Phase) -> list[str]:
    if phase.age is None or phase.work is None:
        return []
    allowed = AGE_FRAMES * phase.work.p95 + AGE_MARGIN_MS
    if phase.age.p95 <= allowed:
        return []
    return [
        f"{phase.fault}: p95 of the age {phase.age.p95:.0f} ms, allowed are {allowed:.0f} ms: "
        f"{AGE_FRAMES:g} times the work on a frame and {AGE_MARGIN_MS:g} ms"
    ]


def _first(problems: Sequence[str]) -> list[str]:
    """Return the first problems of a phase; soak.json has all."""
    more = len(problems) - 3
    return [*problems[:3], *([f"... and {more} more"] if more > 0 else [])]
