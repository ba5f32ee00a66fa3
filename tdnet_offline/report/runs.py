"""The evaluations of a report, named by the settings that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tdnet_offline.evaluation.result import PACKAGED, Evaluation, Setting
from tdnet_offline.report.figures import run_color
from tdnet_offline.report.table import size_text

_HASH_CHARS = 8


@dataclass(frozen=True)
class EvaluationRun:
    """One evaluation of a report.

    Attributes:
        name: unique in the report, as short as that allows.
        color: colour of its lines and bars, ``#rrggbb``.
        evaluation: the results.
    """

    name: str
    color: str
    evaluation: Evaluation


def name_runs(evaluations: Sequence[Evaluation]) -> list[EvaluationRun]:
    """Name one or more evaluations by the settings that differ, and assign colours."""
    described = [_describe(evaluation.setting) for evaluation in evaluations]
    differing = [i for i, values in enumerate(zip(*described, strict=True)) if len({*values}) > 1]
    names = [" · ".join(parts[i] for i in differing or (0,)) for parts in described]
    times: Counter[str] = Counter()
    runs = []
    for index, (name, evaluation) in enumerate(zip(names, evaluations, strict=True)):
        times[name] += 1
        unique = name if names.count(name) == 1 else f"{name} ({times[name]})"
        runs.append(EvaluationRun(unique, run_color(index), evaluation))
    return runs


def _describe(setting: Setting) -> tuple[str, ...]:
    weights = "packaged weights" if setting.weights == PACKAGED else setting.weights
    return (
        setting.variant,
        f"{weights} {setting.weights_sha256[:_HASH_CHARS]}".rstrip(),
        f"{setting.source} {setting.split}".rstrip(),
        setting.mode,
        f"{setting.memory.replace('none', 'no')} memory",
        "no damage" if setting.damage == "none" else setting.seeded_damage,
        f"smoothing {setting.smoothing:g}" if setting.smoothing else "no smoothing",
        size_text(setting.input_size),
        setting.numbers,
        setting.device,
        setting.hardware,
    )
