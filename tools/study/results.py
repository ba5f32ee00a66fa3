"""Numbers of the runs: one file for all, read and written here."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tdnet_offline.writers.atomic_files import replacing


@dataclass(frozen=True)
class StudyResult:
    """Numbers of an experiment with one seed.

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
