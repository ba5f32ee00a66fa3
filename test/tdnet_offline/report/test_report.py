"""The report of evaluations: its numbers, that it is self-contained, names, missing values."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.html_page import HtmlPage, tile
from support.reports import decoded, measured, percent

from tdnet.variants import DEFAULT_VARIANT
from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.result import Evaluation
from tdnet_offline.report.evaluation_page import write_report
from tdnet_offline.report.table import digits

HOSTILE = "</script><script>alert('x')</script><b>&amp;"


@pytest.fixture(scope="module")
def smaller() -> Evaluation:
    return measured(size=(128, 256))


@pytest.fixture(scope="module")
def page(street: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> HtmlPage:
    return HtmlPage(write_report(tmp_path_factory.mktemp("single"), [street]))


@pytest.fixture(scope="module")
def both(
    street: Evaluation, smaller: Evaluation, tmp_path_factory: pytest.TempPathFactory
) -> HtmlPage:
    return HtmlPage(write_report(tmp_path_factory.mktemp("both"), [street, smaller]))


def test_head_has_the_metrics(page: HtmlPage, street: Evaluation) -> None:
    confusion = sum(street.confusions.values())
    times = [record.stages_ms["total"] for record in street.frames]
    assert tile(page, "mean IoU") == percent(metrics.mean_iou(confusion))
    assert tile(page, "pixel accuracy") == percent(np.trace(confusion) / confusion.sum())
    assert tile(page, "boundary F-score") == percent(metrics.mean_boundary_f(street.boundary))
    kept = np.trace(street.consistency) / street.consistency.sum()
    assert tile(page, "temporal consistency") == percent(kept)
    assert tile(page, "median latency") == f"{digits(np.median(times))} ms"
    assert tile(page, "p95 latency") == f"{digits(np.percentile(times, 95))} ms"
    assert tile(page, "frames segmented") == "18"
    assert f"ground truth: {percent(metrics.agreement(street.truth_consistency))}" in page.text


def test_class_table_has_the_metrics(page: HtmlPage, street: Evaluation) -> None:
    iou = metrics.class_iou(sum(street.confusions.values()))
    outlines = metrics.class_boundary_f(street.boundary)
    kept = metrics.class_consistency(street.consistency)
    rows = page.tables["Classes"][1:]
    found = {re.sub(r" (< )?[\d.]+%$", "", row[0]): row[1:] for row in rows}
    names = street.setting.class_names
    expected = {
        names[i]: [
            "\N{EN DASH}" if np.isnan(v) else percent(v) for v in (iou[i], outlines[i], kept[i])
        ]
        for i in names
        if not np.isnan([iou[i], outlines[i], kept[i]]).all()
    }
    assert found == expected
    assert len(found) > 9


def test_paths_and_memory_have_the_metrics(page: HtmlPage, street: Evaluation) -> None:
    for title, by in (("By sub-network", 0), ("By memory", 1)):
        groups: dict[int, np.ndarray] = {}
        for key, counts in street.confusions.items():
            groups[key[by]] = groups.get(key[by], 0) + counts
        frames = [(r.path, r.memory_frames)[by] for r in street.frames]
        assert page.tables[title][1:] == [
            [
                str(value),
                percent(metrics.mean_iou(counts)),
                percent(metrics.pixel_accuracy(counts)),
                str(frames.count(value)),
            ]
            for value, counts in sorted(groups.items())
        ]
        assert len(groups) == 4


def test_latency_table_has_the_percentiles(page: HtmlPage, street: Evaluation) -> None:
    rows = {row[0]: row[1:] for row in page.tables["Latency"][1:]}
    for stage in ("network", "total"):
        times = [record.stages_ms[stage] for record in street.frames]
        assert rows[stage] == [digits(v) for v in np.percentile(times, (50, 95, 99))]
    assert list(rows)[-1] == "total"


def test_figures_show_what_was_counted(page: HtmlPage, street: Evaluation) -> None:
    matrix, iou, consistency, stages, latency = page.figures
    counts = sum(street.confusions.values())
    rows, columns = counts.sum(1) > 0, (counts.sum(0) + np.append(counts.sum(1), 0)) > 0
    shares = counts[rows][:, columns] / counts[rows].sum(1, keepdims=True)
    assert decoded(matrix["data"][0]["z"]) == pytest.approx(shares)
    names = np.array([*street.setting.class_names.values(), "no label"])
    assert matrix["data"][0]["y"] == names[:-1][rows].tolist()
    assert matrix["data"][0]["x"] == names[columns].tolist()
    by_frame = [record.mean_iou for record in street.frames]
    assert decoded(iou["data"][0]["y"]) == pytest.approx(by_frame, abs=1e-5)
    kept = [r.consistency for r in street.frames if r.consistency is not None]
    assert decoded(consistency["data"][0]["y"]) == pytest.approx(kept, abs=1e-5)
    assert len(kept) == 16
    assert decoded(consistency["data"][0]["x"]).tolist() == [*range(1, 9), *range(10, 18)]
    medians = metrics.stage_percentiles(street)
    assert {bar["name"]: bar["x"] for bar in stages["data"]} == {
        name: [pytest.approx(found.p50, abs=1e-4)]
        for name, found in medians.items()
        if name != "total"
    }
    totals = [record.stages_ms["total"] for record in street.frames]
    (bars,) = latency["data"]
    edges = decoded(bars["x"])[:, None] + np.array([-0.5, 0.5]) * bars["width"]
    end = np.percentile(totals, 99.5)
    assert edges[[0, -1], [0, 1]] == pytest.approx([min(totals), end])
    expected, _ = np.histogram(
        [t for t in totals if t <= end], np.append(edges[:, 0], edges[-1, 1])
    )
    assert decoded(bars["y"]) == pytest.approx(expected / sum(t <= end for t in totals))


def test_nothing_is_loaded(page: HtmlPage, street: Evaluation) -> None:
    assert {address.partition(",")[0] for address in page.addresses} == {
        "data:image/jpeg;base64",
        "data:image/png;base64",
    }
    assert len(page.addresses) == 3 * len(street.worst) > 0
    assert "http" not in page.text
    library, own = page.scripts
    assert "http" not in own
    assert len(library) > 1_000_000
    assert page.tags["link"] == page.tags["iframe"] == 0


def test_worst_frames_are_shown_with_their_pictures(page: HtmlPage, street: Evaluation) -> None:
    for frame in street.worst:
        assert frame.record.mean_iou is not None
        assert f"mean IoU {percent(frame.record.mean_iou)}" in page.text
        assert frame.record.name in page.text


def test_runs_are_compared_with_the_first(
    both: HtmlPage, street: Evaluation, smaller: Evaluation
) -> None:
    head, *rows = next(iter(both.tables.values()))
    assert head == ["", "256 x 512", "128 x 256"]
    first, second = (metrics.mean_iou(sum(e.confusions.values())) for e in (street, smaller))
    change = 100 * (second - first)
    sign = "+" if change > 0 else "\N{MINUS SIGN}"
    (row,) = (row for row in rows if row[0].startswith("mean IoU"))
    assert row[1:] == [percent(first), f"{percent(second)} {sign}{abs(change):.1f} points"]
    setting = {row[0]: row[1:] for row in both.tables["Setting"]}
    assert len(setting["network input"]) == 2
    assert setting["network"] == [DEFAULT_VARIANT]


def test_runs_of_other_sources_are_shown_with_a_warning(
    street: Evaluation, smaller: Evaluation, both: HtmlPage, tmp_path: Path
) -> None:
    other = replace(smaller, setting=replace(smaller.setting, source="camvid:/data", split="test"))
    page = HtmlPage(write_report(tmp_path, [street, other]))
    of_street = f"{street.setting.source} {street.setting.split}".rstrip()
    sources = f"of different sources ({of_street}, camvid:/data test): do not compare"
    assert sources in page.text
    assert "do not compare" not in both.text


def test_runs_over_another_runtime_say_so(street: Evaluation, tmp_path: Path) -> None:
    other = replace(street, setting=replace(street.setting, runtime="onnxruntime"))
    page = HtmlPage(write_report(tmp_path, [street, other]))
    numbers = [street.setting.precision, f"{street.setting.precision}, onnxruntime"]
    assert next(iter(page.tables.values()))[0] == ["", *numbers]
    setting = {row[0]: row[1:] for row in page.tables["Setting"]}
    assert setting["precision"] == numbers


def test_frames_stand_at_the_same_place_for_every_run(street: Evaluation, tmp_path: Path) -> None:
    dropped = replace(street, frames=street.frames[1:5] + street.frames[12:])
    page = HtmlPage(write_report(tmp_path, [street, dropped]))
    whole, gaps = page.figures[2]["data"]
    assert decoded(whole["x"]).tolist() == [*range(18)]
    assert decoded(gaps["x"]).tolist() == [1, 2, 3, 4, *range(12, 18)]
    assert decoded(gaps["y"])[-6:] == pytest.approx(decoded(whole["y"])[-6:])


def test_runs_of_other_classes_share_those_of_the_same_name(
    street: Evaluation, tmp_path: Path
) -> None:
    names = {**street.setting.class_names, 0: "lava"}
    other = replace(street, setting=replace(street.setting, class_names=names, variant="other"))
    page = HtmlPage(write_report(tmp_path, [street, other]))
    rows = {re.sub(r" (< )?[\d.]+%$", "", row[0]): row[1] for row in page.tables["Classes"]}
    iou = percent(metrics.class_iou(sum(street.confusions.values()))[0])
    assert rows["road"] == f"{iou} \N{EN DASH}"
    assert rows["lava"] == f"\N{EN DASH} {iou}"
    assert rows["sky"].count("%") == 2
    assert "The evaluations are of different classes: do not compare" in page.text


def test_equal_settings_still_get_names_of_their_own(street: Evaluation, tmp_path: Path) -> None:
    page = HtmlPage(write_report(tmp_path, [street, street]))
    head = next(iter(page.tables.values()))[0]
    assert head == ["", f"{DEFAULT_VARIANT} (1)", f"{DEFAULT_VARIANT} (2)"]


def test_names_from_files_are_shown_as_they_are(street: Evaluation, tmp_path: Path) -> None:
    names = {i: f"{name}{HOSTILE}" for i, name in street.setting.class_names.items()}
    setting = replace(
        street.setting, source=HOSTILE, weights=HOSTILE, variant=HOSTILE, class_names=names
    )
    frames = tuple(replace(r, video=f"{r.video}{HOSTILE}", name=HOSTILE) for r in street.frames)
    worst = tuple(replace(f, record=frames[0]) for f in street.worst)
    hostile = replace(
        street, setting=setting, frames=frames, worst=worst, dropped={HOSTILE: 1}, refused={}
    )
    plain = HtmlPage(write_report(tmp_path / "plain", [street, street]))
    found = HtmlPage(write_report(tmp_path / "hostile", [hostile, hostile]))
    assert found.tags["script"] == plain.tags["script"]
    assert found.tags["b"] == plain.tags["b"]
    assert found.scripts == plain.scripts
    assert HOSTILE in found.text
    # In a figure the markup is text too: plotly shows entities as the characters they stand for.
    assert not [name for name in found.figures[0]["data"][0]["y"] if "<" in name]


def test_where_the_memory_was_emptied_is_marked(street: Evaluation, tmp_path: Path) -> None:
    frames = list(street.frames)
    frames[5] = replace(frames[5], reset_reason="gap")
    page = HtmlPage(write_report(tmp_path, [replace(street, frames=tuple(frames))]))
    line, marks = page.figures[1]["data"]
    assert decoded(marks["x"]).tolist() == [5]
    assert "emptied 1 time; triangles show where" in page.text
    assert marks["name"] != line["name"]


def test_paced_runs_show_what_an_application_sees(tmp_path: Path) -> None:
    evaluation = measured("street:1000123@90x160,frames=8,rate=30", mode="paced")
    page = HtmlPage(write_report(tmp_path, [evaluation]))
    assert evaluation.available is not None
    expected = percent(metrics.mean_iou(evaluation.available))
    assert tile(page, "mean IoU of the newest labels") == expected
    age = metrics.age_percentiles(evaluation)
    assert age is not None
    assert tile(page, "p95 age").endswith(" ms")
    assert page.tables["Latency"][-1][0].startswith("age")


def test_a_report_that_cannot_be_written_leaves_the_old_one(
    street: Evaluation, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="file"):
        write_report(tmp_path / "file" / "below", [street])
    assert (tmp_path / "file").read_text() == "mine"
    assert write_report(tmp_path, [street]) == tmp_path / "report.html"
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []
