"""The numbers of a run as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.result import Counts, Evaluation
from tools.demo.evaluation import class_iou
from tools.demo.node_under_test import NodeUnderTest
from tools.demo.report import Report


def write_summary(path: Path, node: NodeUnderTest, report: Report) -> None:
    """Write the numbers.

    Args:
        path: The file.
        node: The node of the run.
        report: The result.
    """
    session = report.session
    measures = asdict(report.measures)
    measures.pop("totals_ms")
    content = {
        "source": report.source.title,
        "topic": report.source.bag.topic,
        "variant": node.variant,
        "weights": node.weights or "packaged",
        **measures,
        "score": _score(report.evaluation),
        "temporal_consistency": {
            "labels": _consistency(report.evaluation.consistency),
            "ground_truth": _consistency(report.evaluation.truth_consistency),
        },
        "model": dict(session.model),
        "node_exit_status": session.exit_status,
        "problems": list(session.problems),
        "last_error": session.last_error,
        "command": ["python", *session.command],
        "system": dict(node.system),
    }
    path.write_text(json.dumps(content, indent=2) + "\n")


def _score(evaluation: Evaluation) -> dict[str, Any] | None:
    """Return the agreement with the ground truth; None without ground truth."""
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
