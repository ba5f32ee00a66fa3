"""What the runs came to: mean and spread of each experiment, and which claims held."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import t as student_t

from study.experiments import CLAIMS, EXPERIMENTS, Claim

Results = Mapping[str, Mapping[int, Mapping[str, Any]]]
"""Numbers of each run by experiment and seed."""

_COLUMNS = (
    ("mean IoU", "mean_iou"),
    ("pixel accuracy", "pixel_accuracy"),
    ("boundary F", "boundary_f"),
    ("consistency", "consistency"),
)


def load_results(path: Path) -> Results:
    """Read the numbers of all runs from one file."""
    results: dict[str, dict[int, Mapping[str, Any]]] = {}
    for entry in json.loads(path.read_text(encoding="utf-8")):
        results.setdefault(entry["experiment"], {})[entry["seed"]] = entry
    return results


def experiments_table(results: Results) -> str:
    """Show each experiment as a row of Markdown: mean and standard deviation, in points."""
    lines = [
        "| experiment | | runs | " + " | ".join(name for name, _ in _COLUMNS) + " |",
        "|---|---|---:|" + "---:|" * len(_COLUMNS),
    ]
    for entry in EXPERIMENTS:
        runs = list(results.get(entry.name, {}).values())
        if not runs:
            continue
        cells = [_mean_and_spread([run[key] for run in runs]) for _, key in _COLUMNS]
        lines.append(f"| {entry.name} | {entry.description} | {len(runs)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def claims_table(results: Results) -> str:
    """Show each claim as a row of Markdown: the difference, seed by seed, and whether it held."""
    lines = [
        "| the paper | compared | difference of the mean IoU, points: mean (each seed) | here |",
        "|---|---|---|---|",
    ]
    for claim in CLAIMS:
        differences = paired_differences(results, claim)
        if not differences:
            continue
        each = ", ".join(f"{value:+.1f}" for value in differences)
        lines.append(
            f"| {claim.text} | {claim.better} - {claim.worse} | "
            f"{statistics.mean(differences):+.1f} ({each}) | {verdict(claim, differences)} |"
        )
    return "\n".join(lines) + "\n"


def paired_differences(results: Results, claim: Claim) -> list[float]:
    """Mean IoU of the better less that of the worse in points, for each seed that both have."""
    better, worse = results.get(claim.better, {}), results.get(claim.worse, {})
    return [
        100 * (better[seed]["mean_iou"] - worse[seed]["mean_iou"])
        for seed in sorted(better.keys() & worse.keys())
    ]


def verdict(claim: Claim, differences: Sequence[float]) -> str:
    """Say ``held`` or ``did not hold`` where a one-sided t-test at 95 % does, else ``open``.

    Args:
        claim: its tolerance counts.
        differences: in points, one a seed; a single one decides nothing.
    """
    if len(differences) < 2:
        return "open"
    mean = statistics.mean(differences) + 100 * claim.within
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    reach = float(student_t.ppf(0.95, len(differences) - 1)) * error
    if mean > reach:
        return "held"
    return "did not hold" if mean < -reach else "open"


def _mean_and_spread(values: Sequence[float]) -> str:
    points = [100 * value for value in values]
    if len(points) == 1:
        return f"{points[0]:.1f}"
    return f"{statistics.mean(points):.1f} ± {statistics.stdev(points):.1f}"
