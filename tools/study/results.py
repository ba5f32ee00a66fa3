"""Results of the runs: one file for all, and the tables of mean, spread and claims."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import t as student_t

from tdnet_offline.writers.atomic_files import replacing
from tools.study.experiments import CLAIMS, CLEAN, DAMAGES, EXPERIMENTS, Claim

_HEADINGS = {damage: "clean" if damage == CLEAN else damage for damage in DAMAGES}


@dataclass(frozen=True)
class StudyResult:
    """Results of an experiment with one seed.

    Attributes:
        experiment: name of the experiment.
        seed: of training and damage.
        mean_iou: 0 to 1, by the damage of the frames.
        consistency: share of the pixels, 0 to 1, whose label stays along the optical flow, on
            frames without damage.
        scored_frames: labelled frames behind each mean IoU.
        fingerprint: of recipe and experiment; see `study.study_run.fingerprint`.
        start_weights: SHA-256 of the packaged weights that training starts from.
        hardware: of the machine.
        versions: of Python, torch and tdnet.
        git_commit: of the checkout.
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
    lines = [
        f"| experiment | | runs | {' | '.join(_HEADINGS.values())} | consistency |",
        "|---|---|---:|" + "---:|" * (len(_HEADINGS) + 1),
    ]
    for entry in EXPERIMENTS:
        runs = [result for result in results if result.experiment == entry.name]
        if not runs:
            continue
        columns = [[run.mean_iou[damage] for run in runs] for damage in DAMAGES]
        cells = [_mean_and_spread(each) for each in [*columns, [run.consistency for run in runs]]]
        lines.append(f"| {entry.name} | {entry.description} | {len(runs)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def claims_table(results: Sequence[StudyResult]) -> str:
    """Return a Markdown row for each claim and damage: the differences and the verdict."""
    lines = [
        "| claim | compared | frames | difference, points: mean (each seed) | result |",
        "|---|---|---|---|---|",
    ]
    for claim in CLAIMS:
        for damage in claim.damages:
            differences = paired_differences(results, claim, damage)
            if not differences:
                continue
            each = ", ".join(f"{value:+.1f}" for value in differences)
            lines.append(
                f"| {claim.text} | {claim.better} - {claim.worse} | {_HEADINGS[damage]} | "
                f"{statistics.mean(differences):+.1f} ({each}) | {verdict(differences)} |"
            )
    return "\n".join(lines) + "\n"


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
    if len(differences) < 2:
        return "open"
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    margin = float(student_t.ppf(0.95, len(differences) - 1)) * error
    mean = statistics.mean(differences)
    if mean > margin:
        return "holds"
    return "does not hold" if mean < -margin else "open"


def _mean_and_spread(values: Sequence[float]) -> str:
    points = [100 * value for value in values]
    if len(points) == 1:
        return f"{points[0]:.1f}"
    return f"{statistics.mean(points):.1f} ± {statistics.stdev(points):.1f}"
