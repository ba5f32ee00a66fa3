"""The page of an evaluation report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tdnet_offline.evaluation.result import Evaluation, comparison_warning
from tdnet_offline.report.breakdown import (
    class_table,
    memory_table,
    path_table,
    video_table,
)
from tdnet_offline.report.confusions import make_confusion
from tdnet_offline.report.curves import make_curves
from tdnet_offline.report.gallery import make_gallery
from tdnet_offline.report.latency import make_latency
from tdnet_offline.report.page import write_page
from tdnet_offline.report.runs import EvaluationRun, name_runs
from tdnet_offline.report.summary import setting_rows, summary_table, withheld_lines
from tdnet_offline.report.table import number_of


def write_evaluation_page(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """Write the report on one or more evaluations as HTML.

    Args:
        path: the HTML file.
        evaluations: at least one; several are shown side by side, with changes against the first.

    Raises:
        OSError: the file cannot be written; an existing one stays as it was.
    """
    runs = name_runs(evaluations)
    galleries = [make_gallery(run) for run in runs]
    confusions = [make_confusion(run) for run in runs]
    classes = class_table(runs)
    has_truth = any(row.note for row in classes.rows)
    write_page(
        path,
        Path(__file__).parent / "evaluation.html",
        title=_title(runs),
        subtitle=_subtitle(runs),
        runs=runs,
        warning=comparison_warning([evaluation.setting for evaluation in evaluations]),
        summary=summary_table(runs),
        classes=classes,
        classes_head="class, share of the pixels" if has_truth else "class",
        classes_note=_classes_note(classes.titles),
        confusions=[one for one in confusions if one is not None],
        paths=path_table(runs),
        memory=memory_table(runs),
        withheld=withheld_lines(runs),
        curves=make_curves(runs),
        latency=make_latency(runs),
        galleries=[one for one in galleries if one is not None],
        videos=video_table(runs),
        setting=setting_rows(runs),
    )


def _title(runs: Sequence[EvaluationRun]) -> str:
    settings = [run.evaluation.setting for run in runs]
    titles = {f"{setting.variant} on {setting.source}" for setting in settings}
    common = f": {titles.pop()}" if len(titles) == 1 else ""
    if len(runs) > 1:
        return f"{len(runs)} evaluations{common}"
    return common.removeprefix(": ")


def _subtitle(runs: Sequence[EvaluationRun]) -> str:
    """Return the facts that all runs have in common."""
    facts = [_facts(run) for run in runs]
    return " · ".join(
        values[0] for values in zip(*facts, strict=True) if values[0] and len({*values}) == 1
    )


def _facts(run: EvaluationRun) -> tuple[str, ...]:
    evaluation, setting = run.evaluation, run.evaluation.setting
    labelled = sum(record.mean_iou is not None for record in evaluation.frames)
    frames = number_of(len(evaluation.frames), "frame")
    videos = number_of(len({record.video for record in evaluation.frames}), "video")
    return (
        setting.split,
        f"{frames} of {videos}, {f'{labelled:,}' if labelled else 'none'} with labels",
        setting.mode,
        setting.hardware,
    )


def _classes_note(titles: Sequence[str]) -> str:
    meanings = {
        "IoU": "IoU: intersection over union of ground truth and labels.",
        "boundary F-score": "Boundary F-score: agreement of the outlines.",
        "consistency": "Consistency: IoU with the labels of the frame before, carried over by "
        "optical flow.",
    }
    return " ".join(meanings[title] for title in titles)
