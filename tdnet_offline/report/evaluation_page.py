"""The page of an evaluation report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tdnet_offline.evaluation.result import Evaluation, comparison_warning
from tdnet_offline.report.breakdown import class_table, memory_table, path_table, video_table
from tdnet_offline.report.confusions import make_confusion
from tdnet_offline.report.curves import make_curves
from tdnet_offline.report.gallery import make_gallery
from tdnet_offline.report.latency import make_latency
from tdnet_offline.report.page import write_page
from tdnet_offline.report.runs import EvaluationRun, name_runs
from tdnet_offline.report.summary import setting_rows, summary_table, withheld_lines
from tdnet_offline.report.table import number_of

_MEANINGS = {
    "IoU": "IoU: intersection over union of ground truth and labels.",
    "boundary F-score": "Boundary F-score: agreement of the outlines.",
    "consistency": "Consistency: IoU with the labels of the frame before, carried over by "
    "optical flow.",
}


def write_report(directory: Path, evaluations: Sequence[Evaluation]) -> Path:
    """Write ``report.html`` on one or more evaluations.

    Args:
        directory: folder for the file; created if it is missing.
        evaluations: at least one; several are shown side by side, with changes against the first.

    Returns:
        Path of the file, which is self-contained.

    Raises:
        OSError: the file cannot be written; an existing one stays as it was.
    """
    path = directory / "report.html"
    runs = name_runs(evaluations)
    confusions = [make_confusion(run) for run in runs]
    classes = class_table(runs)
    settings = [evaluation.setting for evaluation in evaluations]
    titles = {f"{setting.variant} on {setting.source}" for setting in settings}
    parts = [f"{len(runs)} evaluations"] * (len(runs) > 1) + [*titles] * (len(titles) == 1)
    # The subtitle has the facts that all runs have in common.
    facts = (values[0] for values in zip(*map(_facts, runs), strict=True) if len({*values}) == 1)
    write_page(
        path,
        Path(__file__).parent / "evaluation.html",
        title=": ".join(parts),
        subtitle=" · ".join(filter(None, facts)),
        runs=runs,
        warning=comparison_warning(settings),
        summary=summary_table(runs),
        classes=classes,
        classes_note=" ".join(_MEANINGS[title] for title in classes.titles),
        confusions=[one for one in confusions if one is not None],
        paths=path_table(runs),
        memory=memory_table(runs),
        withheld=withheld_lines(runs),
        curves=make_curves(runs),
        latency=make_latency(runs),
        galleries=[make_gallery(run) for run in runs if run.evaluation.worst],
        videos=video_table(runs),
        setting=setting_rows(runs),
    )
    return path


def _facts(run: EvaluationRun) -> tuple[str, ...]:
    frames, setting = run.evaluation.frames, run.evaluation.setting
    labelled = sum(record.mean_iou is not None for record in frames)
    videos = number_of(len({record.video for record in frames}), "video")
    return (
        setting.split,
        f"{number_of(len(frames), 'frame')} of {videos}, "
        f"{f'{labelled:,}' if labelled else 'none'} with labels",
        setting.mode,
        setting.hardware,
    )
