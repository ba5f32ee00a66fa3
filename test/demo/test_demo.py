"""The demo, run as a user runs it: a bag through the node's process over real topics."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from support import browser
from support.demo_run import PARTS, ROOT, DemoRun, run_demo, run_demo_process
from support.html_page import HtmlPage

from tdnet import ClassMap
from tdnet_offline.bags import open_bag
from tdnet_offline.evaluation.evaluation_file import load_evaluation
from tdnet_offline.frames import RefusedFrame
from tdnet_offline.frames.video_file import VideoFile
from tools.demo.sources import HIGHWAY_VIDEO

FRAMES = 22


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, street: Path, weights: Path) -> DemoRun:
    """The demo of the street."""
    output = tmp_path_factory.mktemp("demo") / "output"
    run = run_demo_process(output, "--bag", street, "--weights", weights)
    assert (run.status, run.complained) == (0, "")
    return run


def test_every_frame_is_accounted_for(run: DemoRun) -> None:
    frames = run.summary["frames"]
    assert frames["sent"] == FRAMES == sum(frames[part] for part in PARTS)
    assert frames["segmented"] > 0
    assert frames["refused"] == frames["unfinished"] == frames["lost"] == 0
    assert run.summary["node_exit_status"] == 0
    assert f"{FRAMES} frames sent: {frames['segmented']} segmented" in run.said


def test_outputs_keep_the_stamps(run: DemoRun, street: Path) -> None:
    with open_bag(street) as bag:
        sent = {record.stamp_ns for record in bag.records(["/camera/image_raw"])}
    status = run.stamps("/tdnet/status")
    assert len(status) == len(set(status)) == run.summary["frames"]["segmented"]
    assert sent.issuperset(status)
    for topic in ("labels", "confidence", "overlay"):
        assert run.stamps(f"/tdnet/{topic}") == status


def test_recording_has_the_latched_topics(run: DemoRun) -> None:
    with open_bag(run.folder / "recording") as bag:
        (class_map,) = (bag.decode(record) for record in bag.records(["/tdnet/class_map"]))
        (info,) = (bag.decode(record) for record in bag.records(["/tdnet/label_info"]))
    expected = [entry.name for entry in ClassMap.load("cityscapes").classes]
    assert [entry.name for entry in class_map.classes] == expected
    assert [entry.class_name for entry in info.class_map] == expected


def test_video_shows_every_overlay_at_its_time(run: DemoRun) -> None:
    stamps = run.stamps("/tdnet/overlay")
    with av.open(str(run.folder / "overlay.mp4")) as container:
        video = container.streams.video[0]
        times = [Fraction(frame.pts) * frame.time_base for frame in container.decode(video)]
        assert (video.width, video.height) == (160, 90)
    assert len(times) == len(stamps) == run.summary["overlays"]
    for time, stamp in zip(times, stamps, strict=True):
        assert float(time - times[0]) == pytest.approx((stamp - stamps[0]) / 1e9, abs=0.002)


def test_score_is_that_of_the_recorded_labels(run: DemoRun, street: Path) -> None:
    labels = run.images("/tdnet/labels")
    right = counted = 0
    hits, unions = np.zeros(19), np.zeros(19)
    with open_bag(street) as bag:
        for record in bag.records(["/camera/labels"]):
            message = bag.decode(record)
            if record.stamp_ns not in labels:
                continue
            truth = message.data.reshape(message.height, message.width)
            given = labels[record.stamp_ns]
            known = truth != 255
            right += (truth == given)[known].sum()
            counted += known.sum()
            for i in range(19):
                hits[i] += ((truth == i) & (given == i)).sum()
                unions[i] += (((truth == i) | (given == i)) & known).sum()
    score = run.summary["score"]
    assert score["frames"] == len(labels)
    assert score["pixel_accuracy"] == pytest.approx(right / counted)
    seen = unions > 0
    assert score["mean_iou"] == pytest.approx((hits[seen] / unions[seen]).mean())
    classes = [entry.name for entry in ClassMap.load("cityscapes").classes]
    for name, iou in score["class_iou"].items():
        assert iou == pytest.approx(hits[classes.index(name)] / unions[classes.index(name)])
    assert len(score["class_iou"]) == seen.sum()


def test_evaluation_is_shown(run: DemoRun) -> None:
    evaluation = load_evaluation(run.folder / "evaluation.json")
    assert len(evaluation.frames) == run.summary["frames"]["segmented"]
    assert evaluation.dropped == {"/camera/image_raw": run.summary["frames"]["dropped"]}
    assert {record.path for record in evaluation.frames} == {0, 1, 2, 3}
    assert [record.consistency is None for record in evaluation.frames[:2]] == [True, False]
    kept = np.trace(evaluation.consistency) / evaluation.consistency.sum()
    assert run.summary["temporal_consistency"]["labels"] == pytest.approx(kept)
    assert 0.9 < run.summary["temporal_consistency"]["ground_truth"] < 1
    page = run.page()
    score = run.summary["score"]
    tiles = re.findall(r"<div><b>([^<]+)</b>", page)
    assert {f"{score['mean_iou']:.1%}", f"{kept:.1%}"} <= set(tiles)
    bars = re.findall(
        r'class="name">([\w ]+)</span><span class="bar"><span style="width:([^"]+)"', page
    )
    assert dict(bars) == {name: f"{iou:.1%}" for name, iou in score["class_iou"].items()}
    assert (run.folder / "report.html").stat().st_size > 1_000_000
    assert f"mIoU {score['mean_iou']:.1%}" in run.said


def test_frames_are_shown_with_overlay_and_labels(run: DemoRun) -> None:
    pictures = re.findall(r'<img alt="([^"]+)" src="data:image/jpeg;"', run.page())
    assert pictures == ["camera", "overlay from the node", "exact labels"] * 6


def test_page_is_self_contained(run: DemoRun) -> None:
    stages, latencies = HtmlPage(run.output / "index.html").figures
    assert [bar["name"] for bar in stages["data"]] == list(run.summary["stages"])
    assert len(latencies["data"][0]["y"]) == run.summary["frames"]["segmented"]
    page = run.page()
    assert "http://" not in page
    assert "https://" not in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert {source.partition(";")[0] for source in sources} == {
        "data:video/mp4",
        "data:image/jpeg",
        "bag/report.html",  # a link: the page is complete without it
    }
    rows = dict(re.findall(r'<tr[^>]*><td>(\w+)</td><td class="number">(\d+)</td>', page))
    assert {name: int(number) for name, number in rows.items()} == run.summary["frames"]


@pytest.fixture(scope="module")
def run_of_both(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> DemoRun:
    """The demo without a source of the user, of 2.4 s of the drawn street and 1 s of motorway."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tools.demo.sources.STREET_FRAMES", 24)
        patch.setattr("tools.demo.sources.MAX_VIDEO_SECONDS", 1.0)
        run = run_demo(tmp_path_factory.mktemp("both") / "output", "--weights", weights)
    assert (run.status, run.complained) == (0, "")
    return run


def test_both_sources_are_played(run_of_both: DemoRun) -> None:
    street, highway = (replace(run_of_both, source=name) for name in ("street", "highway"))
    for run, sent, size in ((street, 24, (640, 360)), (highway, 25, (960, 540))):
        frames = run.summary["frames"]
        assert frames["sent"] == sent == sum(frames[part] for part in PARTS)
        assert frames["segmented"] > 0
        assert run.summary["total"]["p50"] > 0
        assert 0 < run.summary["temporal_consistency"]["labels"] <= 1
        with av.open(str(run.folder / "overlay.mp4")) as container:
            video = container.streams.video[0]
            assert (video.width, video.height) == size
            assert sum(1 for _ in container.decode(video)) == frames["segmented"]
    assert street.summary["score"]["frames"] == street.summary["frames"]["segmented"]
    assert highway.summary["score"] is None
    assert highway.summary["input_rate"] == pytest.approx(25, rel=0.05)


def test_the_whole_motorway_can_be_read() -> None:
    frames = list(VideoFile(HIGHWAY_VIDEO))
    assert len(frames) == 221
    assert not [frame for frame in frames if isinstance(frame, RefusedFrame)]


def test_page_has_both_videos(run_of_both: DemoRun) -> None:
    page = (run_of_both.output / "index.html").read_text()
    for name in ("street", "highway"):
        video = (run_of_both.output / name / "overlay.mp4").read_bytes()
        # Without `assert ... in`: on failure pytest compares megabytes for minutes.
        assert page.find(base64.b64encode(video).decode()) > 0
        assert f'href="{name}/report.html"' in run_of_both.page()
    assert "Udacity, Inc., MIT licence" in run_of_both.page()
    assert (ROOT / "tools" / "demo" / "highway" / "LICENSE").read_text().startswith("MIT License")


@browser.NEEDED
def test_videos_are_side_by_side_or_stacked(run_of_both: DemoRun) -> None:
    page = run_of_both.output / "index.html"
    corners = "[...document.querySelectorAll('video')].map(v => v.getBoundingClientRect())"
    with browser.Browser() as tab:
        tab.show(page, 1280)
        left, right = tab.value(f"{corners}.map(r => [r.x, r.y, r.width])")
        assert left[1:] == right[1:]
        assert right[0] >= left[0] + left[2]
        tab.show(page, 390)
        upper, lower = tab.value(f"{corners}.map(r => [r.y, r.x, r.height])")
        assert upper[1] == lower[1]
        assert lower[0] >= upper[0] + upper[2]
        assert tab.value("document.documentElement.scrollWidth") <= 390
        assert tab.complaints == []
        assert set(tab.requests) == {page.resolve().as_uri()}
