"""The controls of evaluations in the report: names of runs, and what the memory is worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.html_page import HtmlPage, tile

from tdnet import SegmenterSettings
from tdnet_offline.datasets import open_dataset
from tdnet_offline.evaluation.result import Evaluation, WithheldMemory
from tdnet_offline.evaluation.runner import evaluate
from tdnet_offline.report.evaluation_page import write_report


@pytest.fixture(scope="module")
def street(weights: Path) -> Evaluation:
    segmenter = SegmenterSettings(weights=str(weights), device="cpu", runtime="torch").build()
    return evaluate(open_dataset("street:40@64x96,frames=3"), segmenter, worst=0)


def test_controls_tell_runs_apart(street: Evaluation, tmp_path: Path) -> None:
    controlled = [
        replace(street, setting=replace(street.setting, **changes))
        for changes in ({"memory": "none"}, {"damage": "noise=25", "seed": 3})
    ]
    page = HtmlPage(write_report(tmp_path, [street, *controlled]))
    names = [
        "full memory · no damage",
        "no memory · no damage",
        "full memory · noise=25, seed 3",
    ]
    assert next(iter(page.tables.values()))[0] == ["", *names]
    setting = {row[0]: row[1:] for row in page.tables["Setting"]}
    assert setting["memory"] == ["full", "none", "full"]
    assert setting["damage"] == ["none", "none", "noise=25, seed 3"]


def test_what_withholding_the_memory_costs(street: Evaluation, tmp_path: Path) -> None:
    used = np.zeros((19, 20), np.int64)
    used[0, 0], used[1, 1], used[1, 0] = 60, 30, 10
    withheld = used.copy()
    withheld[1, 1], withheld[1, 0] = 20, 20
    measured = replace(
        street, withheld_memory=WithheldMemory(2, used, withheld, pixels=200, changed=25)
    )
    # (60 / 70 + 30 / 40) / 2, and (60 / 80 + 20 / 40) / 2.
    page = HtmlPage(write_report(tmp_path / "one", [measured]))
    assert tile(page, "worth of the memory") == "+17.9 points"
    assert tile(page, "labels that the memory changes") == "12.5%"
    assert "mean IoU 80.4%, without memory 62.5%" in page.text
    assert "2 labelled frames with a full memory, segmented with it and without" in page.text
    assert "changes 12.5% of the labels" in page.text

    swapped = replace(
        street, withheld_memory=WithheldMemory(2, withheld, used, pixels=200, changed=25)
    )
    page = HtmlPage(write_report(tmp_path / "both", [street, measured, swapped]))
    rows = {row[0]: row[1:] for row in next(iter(page.tables.values()))}
    assert rows["worth of the memory"] == [
        *("\N{EN DASH}", "+17.9 points", "\N{MINUS SIGN}17.9 points")
    ]
    plain = HtmlPage(write_report(tmp_path / "plain", [street]))
    assert "worth" not in plain.text
