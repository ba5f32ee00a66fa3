"""The numbers of a run as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from demo.evaluation import class_iou
from demo.report import Report
from demo.session import Session
from demo.subject import Subject
from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.result import Counts, Evaluation


def write_summary(path: Path, subject: Subject, session: Session, report: Report) -> None:
    """Write the numbers.

    Args:
        path: the file.
        subject: what was shown.
        session: the run.
        report: its numbers.
    """
    measures = asdict(report.measures)
    measures.pop("totals_ms")
    content = {
        "source": subject.source,
        "topic": subject.bag.topic,
        "variant": subject.variant,
        "weights": subject.weights or "packaged",
        "frames": measures.pop("account"),
        **measures,
        "score": _score(report.evaluation),
        "temporal_consistency": {
            "labels": _consistency(report.evaluation.consistency),
            "truth": _consistency(report.evaluation.truth_consistency),
        },
        "model": dict(session.model),
        "node_exit_status": session.exit_status,
        "problems": list(session.problems),
        "last_error": session.last_error,
        "command": ["python", *session.command],
        "system": dict(subject.system),
    }
    path.write_text(json.dumps(content, indent=2) + "\n")


def _score(evaluation: Evaluation) -> dict[str, Any] | None:
    """Labels against the truth; None without truth."""
    confusion = metrics.total_confusion(evaluation)
    if not confusion.any():
        return None
    names = evaluation.setting.class_names
    return {
        "frames": sum(record.mean_iou is not None for record in evaluation.frames),
        "pixel_accuracy": metrics.pixel_accuracy(confusion),
        "mean_iou": metrics.mean_iou(confusion),
        "boundary_f": metrics.mean_boundary_f(evaluation.boundary),
        "class_iou": {names[i]: iou for i, iou in class_iou(evaluation).items()},
    }


def _consistency(counts: Counts | None) -> float | None:
    share = math.nan if counts is None else metrics.agreement(counts)
    return None if math.isnan(share) else share
