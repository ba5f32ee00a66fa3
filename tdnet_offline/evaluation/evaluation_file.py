"""Evaluations as JSON files: what is read equals what was written, to the last bit."""

from __future__ import annotations

import json
from pathlib import Path

from tdnet._util.documents import Document, RecordError, load_document, parse_json
from tdnet._util.records import plain, read_record
from tdnet.errors import InputError
from tdnet_offline.evaluation.result import Counts, Evaluation
from tdnet_offline.writers.atomic_files import replacing

FORMAT = "tdnet evaluation"
VERSION = 5
_READABLE = (2, 3, 4, VERSION)
"""Older versions lack fields that have a default."""
MAX_BYTES = 256 << 20
"""Of a file that is read; in memory it takes about twenty times as much."""


def save_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Write an evaluation; if that fails, an existing file stays as it was.

    Raises:
        OSError: the file cannot be written.
    """
    document = {"format": FORMAT, "version": VERSION, **plain(evaluation)}
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        # ASCII: file names may hold bytes that are not text.
        json.dump(document, file, allow_nan=False)
        file.write("\n")


def load_evaluation(path: Path) -> Evaluation:
    """Read what `save_evaluation` has written.

    Raises:
        InputError: the file cannot be read, or is not an evaluation.
    """
    try:
        document = load_document(path, MAX_BYTES, parse_json)
        values = document.value if isinstance(document.value, dict) else {}
        version = (values.pop("format", None), values.pop("version", None))
        if version not in [(FORMAT, readable) for readable in _READABLE]:
            allowed = f"{FORMAT}, version {_READABLE[0]} to {VERSION}"
            raise document.error((), f"format and version are {version}; allowed {allowed}")
        evaluation = read_record(Evaluation, document)
        _check(evaluation, document)
    except RecordError as error:
        raise InputError(f"{error}; give an evaluation.json of `tdnet evaluate`") from error
    return evaluation


def _check(evaluation: Evaluation, document: Document) -> None:
    """Check that the counts are of the classes, and agree.

    Raises:
        RecordError: they are not.
    """
    setting = evaluation.setting
    size = len(setting.class_names)
    if not size or setting.class_names.keys() != setting.class_colors.keys():
        path = ("setting", "class_colors")
        raise document.error(path, "the ids are not those of setting.class_names")
    labelled, agreement = (size, size + 1), (size + 1, size + 1)
    shapes: list[tuple[str, Counts | None, tuple[int, int]]] = [
        *(("confusions", counts, labelled) for counts in evaluation.confusions.values()),
        ("boundary", evaluation.boundary, (size, 4)),
        ("consistency", evaluation.consistency, agreement),
        ("truth_consistency", evaluation.truth_consistency, agreement),
        ("available", evaluation.available, labelled),
    ]
    if withheld := evaluation.withheld_memory:
        pair = (withheld.used, withheld.withheld)
        shapes += [("withheld_memory", counts, labelled) for counts in pair]
        if withheld.changed > withheld.pixels:
            path = ("withheld_memory", "changed")
            allowed = f"at most withheld_memory.pixels, {withheld.pixels}"
            raise document.mismatch(path, withheld.changed, allowed)
    for name, counts, shape in shapes:
        if counts is not None and counts.shape != shape:
            raise document.error(
                (name,), f"got counts of shape {counts.shape}; allowed {shape}, for {size} classes"
            )
