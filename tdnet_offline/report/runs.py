"""The evaluations of a report, told apart by what differs between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tdnet_offline.evaluation.result import Evaluation, Setting

_HASH_CHARS = 8
# Distinct for the colour-blind, on white and on black.
COLORS = ("#2080c8", "#e07020", "#17a27a", "#c86aa8", "#caa01c", "#5cb3e6")


@dataclass(frozen=True)
class Run:
    """One evaluation as the report shows it.

    Attributes:
        name: unique in the report, as short as that allows.
        color: of its lines and bars, ``#rrggbb``.
        evaluation: what was measured.
    """

    name: str
    color: str
    evaluation: Evaluation


def name_runs(evaluations: Sequence[Evaluation]) -> list[Run]:
    """Name evaluations by those settings that differ, and give each a colour.

    Args:
        evaluations: one or more, in the order of the report.
    """
    described = [_describe(evaluation.setting) for evaluation in evaluations]
    differing = [i for i, values in enumerate(zip(*described, strict=True)) if len({*values}) > 1]
    names = [" · ".join(parts[i] for i in differing or (0,)) for parts in described]
    times: Counter[str] = Counter()
    runs = []
    for index, (name, evaluation) in enumerate(zip(names, evaluations, strict=True)):
        times[name] += 1
        unique = name if names.count(name) == 1 else f"{name} ({times[name]})"
        runs.append(Run(unique, COLORS[index % len(COLORS)], evaluation))
    return runs


_MEMORY = {"full": "full memory", "none": "no memory", "foreign": "foreign memory"}


def _describe(setting: Setting) -> tuple[str, ...]:
    height, width = setting.input_size
    packaged = setting.weights == "packaged"
    weights = "packaged weights" if packaged else setting.weights
    return (
        setting.variant,
        f"{weights} {setting.weights_sha256[:_HASH_CHARS]}".rstrip(),
        f"{setting.source} {setting.split}".rstrip(),
        setting.mode,
        _MEMORY.get(setting.memory, setting.memory),
        "no damage" if setting.damage == "none" else setting.seeded_damage,
        f"{height} x {width}",
        setting.numbers,
        setting.device,
        setting.hardware,
    )
