"""Shows evaluations as one HTML file, for people and for browsers without a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tdnet.errors import InputError
from tdnet_offline.evaluation.result import Evaluation
from tdnet_offline.writers.atomic_files import replacing

REPORT_NAME = "report.html"


def write_report(directory: Path, evaluations: Sequence[Evaluation]) -> Path:
    """Write ``report.html``: one evaluation, or several side by side.

    Args:
        directory: folder for the file; created if it is missing.
        evaluations: at least one; of several the first is what the others are compared with.

    Returns:
        Path of the file, which needs nothing beside it.

    Raises:
        InputError: there is no evaluation.
        OSError: the file cannot be written; one of an earlier report stays as it was.
    """
    # Plotly takes a second to import, which only those wait for who write a report.
    from tdnet_offline.report.page import render_page

    if not evaluations:
        raise InputError("got no evaluation to report on; allowed one or more: evaluate first")
    path = directory / REPORT_NAME
    page = render_page(evaluations)
    with replacing(path) as temporary:
        # A file's name that is no text, which a source may have, is shown as far as it is.
        temporary.write_text(page, encoding="utf-8", errors="replace")
    return path
