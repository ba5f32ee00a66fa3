"""Reports of unusual evaluations: no labels, no frames, absent classes, very many frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.html_page import HtmlPage, tile
from support.reports import decoded, measured, percent

from tdnet_offline.evaluation.result import Evaluation
from tdnet_offline.report.evaluation_page import write_report


def test_without_labels_there_is_consistency_and_latency(tmp_path: Path) -> None:
    evaluation = measured("street:1000123@90x160,frames=5", labelled=False)
    page = HtmlPage(write_report(tmp_path, [evaluation]))
    kept = np.trace(evaluation.consistency) / evaluation.consistency.sum()
    assert tile(page, "temporal consistency") == percent(kept)
    assert page.tables["Classes"][0] == ["class", "consistency"]
    assert "none with labels" in page.text
    assert "pixel accuracy" not in page.text
    assert {"Confusion", "By sub-network", "Worst frames"}.isdisjoint(page.text.split("\n"))
    assert len(page.figures) == 3


def test_one_frame(tmp_path: Path) -> None:
    evaluation = measured("street:1000123@90x160,frames=1")
    page = HtmlPage(write_report(tmp_path, [evaluation]))
    assert tile(page, "frames segmented") == "1"
    assert "temporal consistency" not in page.text
    assert page.figures[1]["data"][0]["mode"] == "markers"


def test_nothing_was_segmented(street: Evaluation, tmp_path: Path) -> None:
    zero = np.zeros_like(street.consistency)
    evaluation = replace(
        street,
        confusions={},
        boundary=np.zeros_like(street.boundary),
        consistency=zero,
        truth_consistency=None,
        frames=(),
        worst=(),
        refused={"street1000123": 9},
    )
    page = HtmlPage(write_report(tmp_path, [evaluation]))
    assert tile(page, "frames refused") == "9"
    assert page.figures == []


def test_classes_that_never_occur_are_left_out(street: Evaluation, tmp_path: Path) -> None:
    names = {**street.setting.class_names, 19: "unicorn", 20: "dragon"}
    colors = {**street.setting.class_colors, 19: (1, 2, 3), 20: (4, 5, 6)}
    confusions = {}
    for key, counts in street.confusions.items():
        larger = np.zeros((21, 22), np.int64)
        larger[:19, :19], larger[:19, 21] = counts[:, :19], counts[:, 19]
        larger[0, 20] = 7  # a dragon is seen where there is none
        confusions[key] = larger
    evaluation = replace(
        street,
        setting=replace(street.setting, class_names=names, class_colors=colors),
        confusions=confusions,
        boundary=np.pad(street.boundary, ((0, 2), (0, 0))),
        consistency=np.pad(street.consistency, ((0, 2), (0, 2))),
        worst=(),
    )
    page = HtmlPage(write_report(tmp_path, [evaluation]))
    assert "unicorn" not in page.text
    assert ["dragon", "0.0%", "\N{EN DASH}", "\N{EN DASH}"] in page.tables["Classes"]
    matrix = page.figures[0]["data"][0]
    assert "dragon" in matrix["x"]
    assert "dragon" not in matrix["y"]
    assert "unicorn" not in matrix["x"]


def test_many_frames_are_all_drawn(street: Evaluation, tmp_path: Path) -> None:
    records = [
        replace(record, index=cycle * 9 + record.index, name=f"{cycle}_{record.name}")
        for cycle in range(700)
        for record in street.frames[:9]
    ]
    records[4321] = replace(records[4321], mean_iou=0.012)
    many = replace(street, frames=tuple(records))
    short, long = (write_report(tmp_path / n, [e]) for n, e in (("s", street), ("l", many)))
    assert long.stat().st_size - short.stat().st_size < 150 * len(records)
    page = HtmlPage(long)
    (line,) = page.figures[1]["data"]
    expected = [record.mean_iou for record in records]
    assert decoded(line["y"]) == pytest.approx(expected, abs=1e-5)
    assert "the memory was emptied 699 times" in page.text


def test_an_hour_of_frames_does_not_enlarge_the_page(street: Evaluation, tmp_path: Path) -> None:
    records = [
        replace(
            street.frames[1],
            index=index,
            name=f"{index:06}",
            mean_iou=0.5 + index % 7 / 100,
            stages_ms={"total": 10 + index % 1000 / 100},
        )
        for index in range(100_000)
    ]
    records[77_777] = replace(records[77_777], mean_iou=0.012)
    many = replace(street, frames=tuple(records))
    short, long = (write_report(tmp_path / n, [e]) for n, e in (("s", street), ("l", many)))
    assert long.stat().st_size - short.stat().st_size < 1_500_000
    page = HtmlPage(long)
    (line,) = page.figures[1]["data"]
    frames = decoded(line["x"]).astype(int).tolist()
    assert frames == sorted(set(frames))
    assert 77_777 in frames
    assert len(frames) <= 10_000
    expected = [records[frame].mean_iou for frame in frames]
    assert decoded(line["y"]) == pytest.approx(expected, abs=1e-5)
    assert line["text"][-1].endswith(f" {frames[-1]:06}")
    assert "Drawn are the lows and highs, 10000 frames of a run at most." in page.text
