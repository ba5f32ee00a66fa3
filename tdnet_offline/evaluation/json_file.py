"""Evaluations as JSON files: what is read equals what was written, to the last bit."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tdnet._util.json_value import JsonValue
from tdnet._util.regular_files import file_problem
from tdnet.errors import InputError
from tdnet_offline.evaluation.result import (
    Counts,
    Evaluation,
    FrameRecord,
    Setting,
    WithheldMemory,
    WorstFrame,
)
from tdnet_offline.writers.atomic_files import replacing

Read = TypeVar("Read")

FORMAT = "tdnet evaluation"
VERSION = 4
_READ = (2, 3, VERSION)
_SINCE = {"runtime": 3, "memory": 4, "damage": 4, "seed": 4, "withheld_memory": 4}
"""Version that first has a field; older files get its default."""
MAX_BYTES = 256 << 20
"""Of a file that is read; some twenty times as much memory is needed."""
_KIND = {"format": FORMAT, "version": VERSION}
_PICTURES = ("image", "truth", "prediction")
_MOST = 1 << 53
"""The largest count, and pixels of all classes together; a real run has far fewer."""
_LONGEST = 1e12
"""Milliseconds, seconds."""
_LAST_STAMP = (1 << 63) - 1
_LAST_INDEX = 10**9
_LAST_ID = 255
_LONGEST_SIDE = 1 << 20


def save_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Write an evaluation; a file that was there stays as it was if that fails.

    Raises:
        OSError: it cannot be written.
    """
    document = {**_KIND, **_document(evaluation)}
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        # A file's name may be no text at all, and would end the writing of anything but ASCII.
        json.dump(document, file, allow_nan=False)
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
        document = json.loads(path.read_bytes())
        found = [document.get(key) for key in _KIND] if isinstance(document, dict) else []
        if found not in [[FORMAT, version] for version in _READ]:
            raise InputError(f"{', '.join(_KIND)} are {found}, not {list(_KIND.values())}")
        return _evaluation(JsonValue(document), found[1])
    # Deep nesting, numbers of a million digits, and no text end in ways of their own.
    except (ValueError, RecursionError) as error:
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        raise InputError(
            f"{path}: not an evaluation of this version ({kind}{error}); give an "
            "evaluation.json of `tdnet evaluate`"
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
        "withheld_memory": _withheld_document(evaluation.withheld_memory),
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


def _withheld_document(withheld: WithheldMemory | None) -> dict[str, Any] | None:
    if withheld is None:
        return None
    counts = {"used": withheld.used.tolist(), "withheld": withheld.withheld.tolist()}
    return {name: getattr(withheld, name) for name in _names(WithheldMemory)} | counts


def _names(kind: type, version: int = VERSION) -> list[str]:
    """Name the fields of a dataclass that files of a version have."""
    return [field.name for field in fields(kind) if _SINCE.get(field.name, 0) <= version]


def _evaluation(document: JsonValue, version: int) -> Evaluation:
    parts = document.fields([*_KIND, *_names(Evaluation, version)])
    setting = _setting(parts["setting"], version)
    size = len(setting.class_names)
    return Evaluation(
        setting=setting,
        confusions=dict(_confusion(entry, size) for entry in parts["confusions"].items()),
        boundary=_counts(parts["boundary"], size, 4),
        consistency=_counts(parts["consistency"], size + 1, size + 1),
        truth_consistency=parts["truth_consistency"].optional(
            lambda value: _counts(value, size + 1, size + 1)
        ),
        frames=tuple(_record(record) for record in parts["frames"].items()),
        dropped=parts["dropped"].mapping_of(_count),
        refused=parts["refused"].mapping_of(_count),
        seconds=_time(parts["seconds"]),
        worst=tuple(_worst(frame) for frame in parts["worst"].items()),
        available=parts["available"].optional(lambda value: _counts(value, size, size + 1)),
        waited_seconds=_time(parts["waited_seconds"]),
        withheld_memory=parts["withheld_memory"].optional(lambda value: _withheld(value, size))
        if "withheld_memory" in parts
        else None,
    )


def _setting(value: JsonValue, version: int) -> Setting:
    parts = value.fields(_names(Setting, version))
    names = _by_id(parts["class_names"], JsonValue.text)
    colors = _by_id(parts["class_colors"], lambda color: color.tuple_of(3, _class_id))
    if not names or names.keys() != colors.keys():
        raise InputError(f"{parts['class_colors'].name} is not of the ids of the class names")
    height, width = parts["input_size"].tuple_of(2, lambda v: v.integer(0, _LONGEST_SIDE))
    values: dict[str, Any] = {
        "input_size": (height, width),
        "class_names": names,
        "class_colors": colors,
        "versions": parts["versions"].mapping_of(JsonValue.text),
        "processes": _count(parts["processes"]),
    }
    if "seed" in parts:
        values["seed"] = _count(parts["seed"])
    texts = {name: part.text() for name, part in parts.items() if name not in values}
    return Setting(**(texts | values))


def _by_id(value: JsonValue, read: Callable[[JsonValue], Read]) -> dict[int, Read]:
    found = {}
    for entry in value.items():
        class_id, part = entry.tuple_of(2, lambda half: half)
        found[_class_id(class_id)] = read(part)
    return found


def _confusion(value: JsonValue, size: int) -> tuple[tuple[int, int], Counts]:
    parts = value.fields(["path", "memory_frames", "counts"])
    key = _place(parts["path"]), _place(parts["memory_frames"])
    return key, _counts(parts["counts"], size, size + 1)


def _withheld(value: JsonValue, size: int) -> WithheldMemory:
    parts = value.fields(_names(WithheldMemory))
    return WithheldMemory(
        frames=_count(parts["frames"]),
        used=_counts(parts["used"], size, size + 1),
        withheld=_counts(parts["withheld"], size, size + 1),
        pixels=_count(parts["pixels"]),
        changed=parts["changed"].integer(0, _count(parts["pixels"])),
    )


def _record(value: JsonValue) -> FrameRecord:
    parts = value.fields(_names(FrameRecord))
    return FrameRecord(
        video=parts["video"].text(),
        index=parts["index"].integer(0, _LAST_INDEX),
        name=parts["name"].text(),
        stamp_ns=parts["stamp_ns"].optional(lambda v: v.integer(-_LAST_STAMP, _LAST_STAMP)),
        path=_place(parts["path"]),
        memory_frames=_place(parts["memory_frames"]),
        reset_reason=parts["reset_reason"].optional(JsonValue.text),
        pixel_accuracy=parts["pixel_accuracy"].optional(_share),
        mean_iou=parts["mean_iou"].optional(_share),
        consistency=parts["consistency"].optional(_share),
        stages_ms=parts["stages_ms"].mapping_of(_time),
        age_ms=parts["age_ms"].optional(_time),
    )


def _worst(value: JsonValue) -> WorstFrame:
    parts = value.fields(["record", *_PICTURES])
    return WorstFrame(_record(parts["record"]), *(_picture(parts[name]) for name in _PICTURES))


def _picture(value: JsonValue) -> bytes:
    try:
        return base64.b64decode(value.text(), validate=True)
    except binascii.Error as error:
        raise InputError(f"{value.name} is no base64 ({error})") from error


def _counts(value: JsonValue, rows: int, columns: int) -> Counts:
    counts = value.tuple_of(rows, lambda row: row.tuple_of(columns, _count))
    if sum(map(sum, counts)) > _MOST:
        raise InputError(f"{value.name} has more than {_MOST} pixels")
    return np.array(counts, np.int64)


def _class_id(value: JsonValue) -> int:
    return value.integer(0, _LAST_ID)


def _place(value: JsonValue) -> int:
    return value.integer(0, _LAST_ID)


def _count(value: JsonValue) -> int:
    return value.integer(0, _MOST)


def _share(value: JsonValue) -> float:
    return value.number(0.0, 1.0)


def _time(value: JsonValue) -> float:
    return value.number(0.0, _LONGEST)
