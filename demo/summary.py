"""The numbers of a run as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from demo.camera_bag import CameraBag
from demo.report import Report
from demo.session import Session


@dataclass(frozen=True)
class Subject:
    """What was shown.

    Attributes:
        source: where the frames come from, in words.
        bag: that was played.
        variant: the network.
        weights: its file; empty: the packaged weights.
        system: hardware and versions.
    """

    source: str
    bag: CameraBag
    variant: str
    weights: str
    system: Mapping[str, str]


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
    score = report.score
    content = {
        "source": subject.source,
        "topic": subject.bag.topic,
        "variant": subject.variant,
        "weights": subject.weights or "packaged",
        "frames": measures.pop("account"),
        **measures,
        "score": None
        if score is None
        else {
            "frames": score.frames,
            "pixel_accuracy": score.pixel_accuracy,
            "mean_iou": score.mean_iou,
            "class_iou": {
                report.class_map.class_by_id(i).name: iou for i, iou in score.class_iou.items()
            },
        },
        "model": dict(session.model),
        "node_exit_status": session.exit_status,
        "problems": list(session.problems),
        "last_error": session.last_error,
        "command": ["python", *session.command],
        "system": dict(subject.system),
    }
    path.write_text(json.dumps(content, indent=2) + "\n")
