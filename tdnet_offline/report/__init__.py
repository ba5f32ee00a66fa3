"""Reports: self-contained HTML pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tdnet.errors import InputError
from tdnet_offline.evaluation.result import Evaluation

REPORT_NAME = "report.html"


def write_report(directory: Path, evaluations: Sequence[Evaluation]) -> Path:
    """Write ``report.html``: one evaluation, or several side by side.

    Args:
        directory: folder for the file; created if it is missing.
        evaluations: at least one; of several, the others are compared with the first.

    Returns:
        Path of the file, which is self-contained.

    Raises:
        InputError: there is no evaluation.
        OSError: the file cannot be written; an existing one stays as it was.
    """
    # Importing plotly takes a second.
    from tdnet_offline.report.evaluation_page import write_evaluation_page

    if not evaluations:
        raise InputError("got no evaluation to report on; allowed one or more: evaluate first")
    path = directory / REPORT_NAME
    write_evaluation_page(path, evaluations)
    return path
