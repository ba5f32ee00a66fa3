"""The demo, run as a user runs it: a bag through the node's process over real topics."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch
from support import browser
from support.media import (
    compressed_message,
    damage_bag,
    drive,
    folder_of,
    raw_message,
    read_image,
    write_bag,
    write_image,
    write_video,
)

from tdnet import ClassMap, create_model, save_weights
from tdnet_offline.bags import open_bag
from tdnet_offline.evaluation.evaluation_file import load_evaluation
from tdnet_offline.street import StreetDrive
from tdnet_offline.street_bag import write_street_bag

ROOT = Path(__file__).parent.parent
TIMEOUT = 600
RATE = 10.0
FRAMES = 22
PARTS = ("segmented", "dropped", "refused", "unfinished", "lost")


@dataclass(frozen=True)
class Run:
    """One run of the demo; `source` is the name of the folder of its results."""

    output: Path
    source: str
    status: int
    said: str
    complained: str

    @property
    def folder(self) -> Path:
        return self.output / self.source

    @property
    def summary(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        return content

    def page(self) -> str:
        """Text of the page, without its embedded files."""
        page = (self.output / "index.html").read_text()
        return re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)

    def stamps(self, topic: str) -> list[int]:
        """Stamps of the recorded messages of an image topic, or of the status."""
        with open_bag(self.folder / "recording") as bag:
            messages = [bag.decode(record) for record in bag.records([topic])]
        return [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in messages]

    def images(self, topic: str) -> dict[int, np.ndarray]:
        """Recorded images of one channel, by stamp."""
        found = {}
        with open_bag(self.folder / "recording") as bag:
            for record in bag.records([topic]):
                m = bag.decode(record)
                stamp = m.header.stamp.sec * 10**9 + m.header.stamp.nanosec
                found[stamp] = m.data.reshape(m.height, m.width)
        return found


def run_demo(output: Path, *arguments: str | Path) -> Run:
    """Run the demo in a domain of its own."""
    environment = {**os.environ, "ROS_DOMAIN_ID": str(1 + (os.getpid() + 37) % 100)}
    paths = (str(ROOT), environment.get("PYTHONPATH", ""))
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    done = subprocess.run(
        [sys.executable, "-m", "tools.demo", "--output", str(output), *map(str, arguments)],
        cwd=output.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    option = str(arguments[0]).removeprefix("--") if arguments else ""
    source = option if option in ("bag", "images", "video") else "street"
    # Fast DDS reports the ports of killed processes that a node of the machine avoids.
    lines = done.stderr.splitlines(keepends=True)
    complained = "".join(line for line in lines if "Failed init_port" not in line)
    return Run(output, source, done.returncode, done.stdout, complained)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(5)
    model = create_model("td4-psp18-nano", num_classes=19, input_size=(65, 129))
    path = tmp_path_factory.mktemp("weights") / "nano.safetensors"
    save_weights(model, path, class_map=ClassMap.load("cityscapes"))
    return path


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag with images, camera info and labels."""
    path = tmp_path_factory.mktemp("street") / "bag"
    write_street_bag(path, StreetDrive(1_000_007, (90, 160), RATE), FRAMES)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, street: Path, weights: Path) -> Run:
    """The demo of the street."""
    output = tmp_path_factory.mktemp("demo") / "output"
    run = run_demo(output, "--bag", street, "--weights", weights)
    assert (run.status, run.complained) == (0, "")
    return run


def test_every_frame_is_accounted_for(run: Run) -> None:
    frames = run.summary["frames"]
    assert frames["sent"] == FRAMES == sum(frames[part] for part in PARTS)
    assert frames["segmented"] > 0
    assert frames["refused"] == frames["unfinished"] == frames["lost"] == 0
    assert run.summary["node_exit_status"] == 0
    assert f"{FRAMES} frames sent: {frames['segmented']} segmented" in run.said


def test_outputs_keep_the_stamps(run: Run, street: Path) -> None:
    with open_bag(street) as bag:
        sent = {record.stamp_ns for record in bag.records(["/camera/image_raw"])}
    status = run.stamps("/tdnet/status")
    assert len(status) == len(set(status)) == run.summary["frames"]["segmented"]
    assert sent.issuperset(status)
    for topic in ("labels", "confidence", "overlay"):
        assert run.stamps(f"/tdnet/{topic}") == status


def test_recording_has_the_latched_topics(run: Run) -> None:
    with open_bag(run.folder / "recording") as bag:
        (class_map,) = (bag.decode(record) for record in bag.records(["/tdnet/class_map"]))
        (info,) = (bag.decode(record) for record in bag.records(["/tdnet/label_info"]))
    expected = [entry.name for entry in ClassMap.load("cityscapes").classes]
    assert [entry.name for entry in class_map.classes] == expected
    assert [entry.class_name for entry in info.class_map] == expected


def test_video_shows_every_overlay_at_its_time(run: Run) -> None:
    stamps = run.stamps("/tdnet/overlay")
    with av.open(str(run.folder / "overlay.mp4")) as container:
        video = container.streams.video[0]
        times = [Fraction(frame.pts) * frame.time_base for frame in container.decode(video)]
        assert (video.width, video.height) == (160, 90)
    assert len(times) == len(stamps) == run.summary["overlays"]
    for time, stamp in zip(times, stamps, strict=True):
        assert float(time - times[0]) == pytest.approx((stamp - stamps[0]) / 1e9, abs=0.002)


def test_score_is_that_of_the_recorded_labels(run: Run, street: Path) -> None:
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


def test_evaluation_is_shown(run: Run) -> None:
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


def test_pictures(run: Run) -> None:
    sheet = read_image(run.folder / "contact_sheet.png", cv2.IMREAD_COLOR)
    assert sheet.shape[1] == 1500
    assert sheet.shape[0] > 6 * 240  # six frames, each a third of the width
    assert read_image(run.folder / "legend.png").ndim == 3


def test_page_needs_nothing_beside_it(run: Run) -> None:
    page = run.page()
    assert "http://" not in page
    assert "https://" not in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert {source.partition(";")[0] for source in sources} == {
        "data:video/mp4",
        "data:image/png",
        "bag/report.html",  # a link: the page is complete without it
    }
    rows = dict(re.findall(r'<tr[^>]*><td>(\w+)</td><td class="number">(\d+)</td>', page))
    assert {name: int(number) for name, number in rows.items()} == run.summary["frames"]


@pytest.fixture(scope="module")
def run_of_both(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Run:
    """The demo without a source of the user: the drawn street, then the motorway."""
    run = run_demo(tmp_path_factory.mktemp("both") / "output", "--weights", weights)
    assert (run.status, run.complained) == (0, "")
    return run


def test_both_sources_are_played(run_of_both: Run) -> None:
    street, highway = (replace(run_of_both, source=name) for name in ("street", "highway"))
    for run, sent, size in ((street, 120, (640, 360)), (highway, 221, (960, 540))):
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


def test_page_has_both_videos(run_of_both: Run) -> None:
    page = (run_of_both.output / "index.html").read_text()
    for name in ("street", "highway"):
        video = (run_of_both.output / name / "overlay.mp4").read_bytes()
        # Without `assert ... in`: on failure pytest compares megabytes for minutes.
        assert page.find(base64.b64encode(video).decode()) > 0
        assert f'href="{name}/report.html"' in run_of_both.page()
    assert "Udacity, Inc., MIT licence" in run_of_both.page()
    assert (ROOT / "tools" / "demo" / "highway" / "LICENSE").read_text().startswith("MIT License")


@pytest.mark.skipif(not browser.PATH, reason="needs Chromium: install it")
def test_videos_are_side_by_side_or_stacked(run_of_both: Run) -> None:
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


@pytest.mark.parametrize("arguments", [[], ["--rate", "5"]], ids=["its own rate", "another rate"])
def test_video_is_played(tmp_path: Path, weights: Path, arguments: list[str]) -> None:
    video = write_video(tmp_path / "drive.mp4", drive(12, 90, 160), rate=8)
    run = run_demo(tmp_path / "output", "--video", video, "--weights", weights, *arguments)
    frames = run.summary["frames"]
    assert (run.status, run.complained) == (0, "")
    assert frames["sent"] == 12 == sum(frames[part] for part in PARTS)
    period = 10**9 // (5 if arguments else 8)
    stamps = run.stamps("/tdnet/labels")
    assert len(stamps) == frames["segmented"] > 0
    assert all((stamp - 1_700_000_000 * 10**9) % period == 0 for stamp in stamps)
    assert run.images("/tdnet/labels")[stamps[0]].shape == (90, 160)
    page = run.page()
    assert "Video drive.mp4" in page
    assert page.count("<video ") == 1


def test_frames_that_come_too_fast_are_counted_as_dropped(tmp_path: Path, weights: Path) -> None:
    images = folder_of(tmp_path / "frames", drive(40, 240, 320))
    run = run_demo(tmp_path / "output", "--images", images, "--rate", "100", "--weights", weights)
    frames = run.summary["frames"]
    assert (run.status, run.complained) == (0, "")
    assert frames["sent"] == 40 == sum(frames[part] for part in PARTS)
    assert frames["dropped"] > 0
    stamps = run.stamps("/tdnet/labels")
    assert len(stamps) == frames["segmented"]
    assert all((stamp - 1_700_000_000 * 10**9) % 10_000_000 == 0 for stamp in stamps)
    assert run.summary["score"] is None
    assert run.summary["temporal_consistency"]["labels"] is not None
    assert run.summary["temporal_consistency"]["ground_truth"] is None
    assert "IoU" not in run.page()


def test_compressed_images_and_one_that_is_broken(tmp_path: Path, weights: Path) -> None:
    messages = []
    for index, image in enumerate(drive(8)):
        write_image(tmp_path / "frame.jpg", image)
        data = (tmp_path / "frame.jpg").read_bytes()
        stamp = 10**18 + index * 10**8
        broken = data[:100] if index == 3 else data
        messages.append(("/front/compressed", compressed_message(broken, "jpeg", stamp)))
    bag = write_bag(tmp_path / "bag", messages)
    run = run_demo(tmp_path / "output", "--bag", bag, "--weights", weights)
    frames = run.summary["frames"]
    assert run.status == 0
    assert frames["sent"] == 8 == sum(frames[part] for part in PARTS)
    assert frames["refused"] + frames["dropped"] >= 1
    assert 10**18 + 3 * 10**8 not in run.stamps("/tdnet/labels")
    if frames["refused"]:
        assert "cut off" in run.page()


def test_labels_of_images_that_only_the_node_can_decode_are_scored(
    tmp_path: Path, weights: Path
) -> None:
    messages = []
    for index, image in enumerate(drive(6)):
        stamp, side = 10**18 + index * 2 * 10**8, image.shape[1]
        for topic, encoding in (("/camera/image_raw", "bayer_rggb8"), ("/camera/labels", "mono8")):
            plane = np.ascontiguousarray(image[..., 1] % 19)
            lies = {"encoding": encoding, "step": side, "data": plane.reshape(-1)}
            messages.append((topic, raw_message(image, stamp, **lies)))
    bag = write_bag(tmp_path / "bag", messages)
    run = run_demo(tmp_path / "output", "--bag", bag, "--weights", weights)
    assert (run.status, run.complained) == (0, "")
    assert run.summary["frames"]["segmented"] > 0
    assert run.summary["score"]["frames"] == run.summary["frames"]["segmented"]
    assert run.summary["score"]["class_iou"]
    assert run.summary["temporal_consistency"] == {"labels": None, "ground_truth": None}


def test_damaged_bag_is_played_as_far_as_it_goes(
    tmp_path: Path, street: Path, weights: Path
) -> None:
    bag = shutil.copytree(street, tmp_path / "bag")
    damage_bag(bag, StreetDrive(1_000_007, (90, 160), RATE).frame(11).image.tobytes())
    run = run_demo(tmp_path / "output", "--bag", bag, "--weights", weights)
    assert run.status == 1
    assert re.search(r"^demo: .*damaged after \d+ frames", run.complained)
    frames = run.summary["frames"]
    assert frames["sent"] == sum(frames[part] for part in PARTS) == 11
    assert "What went wrong" in run.page()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--bag", "missing"], "missing: no such bag"),
        (["--bag", "{bag}", "--topic", "/rear"], "image topics in this bag: /camera/image_raw"),
        (["--images", "missing"], "missing: no such folder of images"),
        (["--video", "missing.mp4"], "missing.mp4: no such video file"),
        (["--video", "{weights}"], "not a video that FFmpeg can read"),
        (["--topic", "/rear"], "give --bag too"),
        (["--bag", "{bag}", "--rate", "0"], "allowed are 0.1 to 1000"),
        (["--bag", "{bag}", "--variant", "td9"], "valid: td4-psp18,"),
        (["--bag", "{bag}", "--weights", "missing"], "missing: does not exist"),
        (
            ["--bag", "{bag}", "--weights", "{weights}", "--variant", "psp18-nano"],
            "it fits variant 'td4-psp18-nano'",
        ),
    ],
    ids=[
        "bag",
        "topic",
        "images",
        "video",
        "no video",
        "no bag",
        "rate",
        "variant",
        "no weights",
        "wrong weights",
    ],
)
def test_mistakes_end_with_one_line(
    tmp_path: Path, street: Path, weights: Path, arguments: list[str], says: str
) -> None:
    filled = [argument.format(bag=street, weights=weights) for argument in arguments]
    run = run_demo(tmp_path / "output", *filled)
    assert run.status == 2
    assert says in run.complained
    assert run.complained.startswith("demo: ")
    assert run.complained.count("\n") == 1
    assert not (run.output / "index.html").exists()


def test_nothing_of_an_earlier_run_is_left(tmp_path: Path, street: Path, weights: Path) -> None:
    output = tmp_path / "output"
    for number in (5, 3):
        frames = [("/image", raw_message(f, i * 10**8)) for i, f in enumerate(drive(number), 1)]
        bag = write_bag(tmp_path / f"{number}", frames)
        run = run_demo(output, "--bag", bag, "--weights", weights)
        assert run.summary["frames"]["sent"] == number
        assert len(run.stamps("/tdnet/status")) == run.summary["frames"]["segmented"]
    assert run_demo(output, "--bag", "missing").status == 2


def test_a_folder_that_is_not_the_demos_is_left_alone(tmp_path: Path, street: Path) -> None:
    mine = tmp_path / "output" / "bag" / "recording" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    run = run_demo(tmp_path / "output", "--bag", street)
    assert run.status == 2
    assert "choose another --output" in run.complained
    assert mine.read_text() == "mine"
