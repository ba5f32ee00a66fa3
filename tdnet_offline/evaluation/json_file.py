"""Evaluations as JSON files: what is read equals what was written, to the last bit."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from tdnet.errors import InputError
from tdnet.regular_files import file_problem
from tdnet_offline.evaluation.result import Counts, Evaluation, FrameRecord, Setting, WorstFrame
from tdnet_offline.writers.atomic_files import replacing

FORMAT = "tdnet evaluation"
VERSION = 1
MAX_BYTES = 2 << 30
_PICTURES = ("image", "truth", "prediction")


def save_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Write an evaluation; a file that was there stays as it was if that fails.

    Raises:
        OSError: it cannot be written.
    """
    document = {"format": FORMAT, "version": VERSION, **_document(evaluation)}
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def load_evaluation(path: Path) -> Evaluation:
    """Read what `save_evaluation` has written.

    Raises:
        InputError: the file is missing, or is no evaluation.
    """
    problem = file_problem(path, MAX_BYTES)
    if problem:
        raise InputError(f"{path}: {problem}; give an evaluation.json of `tdnet evaluate`")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT or document["version"] != VERSION:
            raise ValueError(f"format {document['format']!r}, version {document['version']!r}")
        return _evaluation(document)
    # Deep nesting and numbers that are none end in other ways than a wrong type.
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(
            f"{path}: not an evaluation of this version ({reason}); give an evaluation.json of "
            "`tdnet evaluate`"
        ) from error


def _document(evaluation: Evaluation) -> dict[str, Any]:
    setting = asdict(evaluation.setting)
    return {
        "setting": {
            **setting,
            "class_names": sorted(evaluation.setting.class_names.items()),
            "class_colors": sorted(evaluation.setting.class_colors.items()),
        },
        "confusions": [
            {"path": path, "memory_frames": memory_frames, "counts": counts.tolist()}
            for (path, memory_frames), counts in evaluation.confusions.items()
        ],
        "boundary": evaluation.boundary.tolist(),
        "consistency": evaluation.consistency.tolist(),
        "truth_consistency": _list(evaluation.truth_consistency),
        "available": _list(evaluation.available),
        "dropped": dict(evaluation.dropped),
        "refused": dict(evaluation.refused),
        "seconds": evaluation.seconds,
        "waited_seconds": evaluation.waited_seconds,
        "frames": [_plain(record) for record in evaluation.frames],
        "worst": [
            {
                "record": _plain(frame.record),
                **{name: base64.b64encode(getattr(frame, name)).decode() for name in _PICTURES},
            }
            for frame in evaluation.worst
        ],
    }


def _plain(record: FrameRecord) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)} | {
        "stages_ms": dict(record.stages_ms)
    }


def _list(counts: Counts | None) -> list[Any] | None:
    return None if counts is None else counts.tolist()


def _evaluation(document: Mapping[str, Any]) -> Evaluation:
    given = document["setting"]
    setting = Setting(
        **{
            **given,
            "input_size": tuple(given["input_size"]),
            "class_names": {int(key): str(name) for key, name in given["class_names"]},
            "class_colors": {int(key): tuple(color) for key, color in given["class_colors"]},
        }
    )
    size = len(setting.class_names)
    return Evaluation(
        setting=setting,
        confusions={
            (int(entry["path"]), int(entry["memory_frames"])): _counts(
                entry["counts"], size, size + 1
            )
            for entry in document["confusions"]
        },
        boundary=_counts(document["boundary"], size, 4),
        consistency=_counts(document["consistency"], size, size),
        truth_consistency=_optional(document["truth_consistency"], size, size),
        frames=tuple(FrameRecord(**record) for record in document["frames"]),
        dropped=dict(document["dropped"]),
        refused=dict(document["refused"]),
        seconds=float(document["seconds"]),
        worst=tuple(
            WorstFrame(
                FrameRecord(**frame["record"]),
                *(base64.b64decode(frame[name], validate=True) for name in _PICTURES),
            )
            for frame in document["worst"]
        ),
        available=_optional(document["available"], size, size + 1),
        waited_seconds=float(document["waited_seconds"]),
    )


def _optional(values: list[Any] | None, rows: int, columns: int) -> Counts | None:
    return None if values is None else _counts(values, rows, columns)


def _counts(values: list[Any], rows: int, columns: int) -> Counts:
    counts = np.array(values)
    if counts.shape != (rows, columns) or counts.dtype != np.int64 or counts.min() < 0:
        raise ValueError(f"counts of shape {counts.shape}, wanted {(rows, columns)}")
    return counts
