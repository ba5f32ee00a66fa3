"""Results of the runs: one file for all, and the tables of mean, spread and claims."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import ttest_1samp

from tdnet_offline.writers.atomic_files import replacing
from tools.study.experiments import CLAIMS, CLEAN, DAMAGES, EXPERIMENTS, Claim

_HEADINGS = {damage: "clean" if damage == CLEAN else damage for damage in DAMAGES}


@dataclass(frozen=True)
class StudyResult:
    """Results of an experiment with one seed.

    Attributes:
        mean_iou: 0 to 1, by the damage of the frames.
        consistency: 0 to 1, on frames without damage.
        scored_frames: labelled frames behind each mean IoU.
        fingerprint: of recipe and experiment; see `study.study_run.fingerprint`.
        start_weights: SHA-256 of the weights that training starts from.
    """

    experiment: str
    seed: int
    mean_iou: Mapping[str, float]
    consistency: float
    scored_frames: int
    fingerprint: str = ""
    start_weights: str = ""
    hardware: str = ""
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    git_commit: str = ""


def save_results(path: Path, results: Sequence[StudyResult]) -> None:
    """Write results as JSON."""
    entries = [dataclasses.asdict(result) for result in results]
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def load_results(path: Path) -> list[StudyResult]:
    """Read results that `save_results` wrote."""
    return [StudyResult(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]


def experiments_table(results: Sequence[StudyResult]) -> str:
    """Return a Markdown row for each experiment: mean and standard deviation, in points."""
    rows = []
    for entry in EXPERIMENTS:
        runs = [result for result in results if result.experiment == entry.name]
        if runs:
            columns = [[run.mean_iou[damage] for run in runs] for damage in DAMAGES]
            columns.append([run.consistency for run in runs])
            cells = map(_mean_and_spread, columns)
            rows.append((entry.name, entry.description, str(len(runs)), *cells))
    head = ("experiment", "", "runs", *_HEADINGS.values(), "consistency")
    return _markdown(head, "|---|---|" + "---:|" * (len(head) - 2), rows)


def claims_table(results: Sequence[StudyResult]) -> str:
    """Return a Markdown row for each claim and damage: the differences and the verdict."""
    rows = []
    for claim in CLAIMS:
        for damage in claim.damages:
            differences = paired_differences(results, claim, damage)
            if differences:
                each = ", ".join(f"{value:+.1f}" for value in differences)
                mean = f"{statistics.mean(differences):+.1f} ({each})"
                compared = f"{claim.better} - {claim.worse}"
                rows.append((claim.text, compared, _HEADINGS[damage], mean, verdict(differences)))
    head = ("claim", "compared", "frames", "difference, points: mean (each seed)", "result")
    return _markdown(head, "|---" * len(head) + "|", rows)


def paired_differences(results: Sequence[StudyResult], claim: Claim, damage: str) -> list[float]:
    """Return mean IoU of the better less that of the worse in points, for each seed of both."""
    better, worse = (
        {run.seed: run.mean_iou[damage] for run in results if run.experiment == name}
        for name in (claim.better, claim.worse)
    )
    return [100 * (better[seed] - worse[seed]) for seed in sorted(better.keys() & worse.keys())]


def verdict(differences: Sequence[float]) -> str:
    """Return ``holds`` or ``does not hold`` if a one-sided t-test at 95 % shows it, else ``open``.

    Args:
        differences: in points, one a seed; a single one shows nothing.
    """
    if len(differences) > 1:
        for result, side in (("holds", "greater"), ("does not hold", "less")):
            if ttest_1samp(differences, 0, alternative=side).pvalue < 0.05:
                return result
    return "open"


def _markdown(head: Sequence[str], rule: str, rows: Sequence[Sequence[str]]) -> str:
    first, *others = (f"| {' | '.join(cells)} |" for cells in (head, *rows))
    return "\n".join((first.replace("|  |", "| |"), rule, *others)) + "\n"


def _mean_and_spread(values: Sequence[float]) -> str:
    points = [100 * value for value in values]
    spread = f" ± {statistics.stdev(points):.1f}" if len(points) > 1 else ""
    return f"{statistics.mean(points):.1f}{spread}"
