"""`tdnet predict` gives the labels of the Python API for every kind of input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from support.media import (
    SECOND,
    drive,
    folder_of,
    raw_message,
    read_video,
    write_bag,
    write_image,
    write_video,
    written,
)

from tdnet import (
    ContinuityPolicy,
    OutputOptions,
    OverlayRenderer,
    SegmenterSettings,
    StreamingSegmenter,
)
from tdnet_offline.frames import open_source
from tdnet_offline.prediction import SegmentedFrame, segment_frames

INPUT_SIZE = (65, 129)
Labels = dict[str, npt.NDArray[np.uint8]]


@pytest.fixture(scope="module")
def loaded_segmenter(weights: Path) -> StreamingSegmenter:
    return SegmenterSettings(weights=str(weights), runtime="torch").build()


@pytest.fixture
def segmenter(loaded_segmenter: StreamingSegmenter) -> StreamingSegmenter:
    """The network of the fixture `predict`, with an empty memory."""
    loaded_segmenter.reset()
    return loaded_segmenter


def assert_equal(found: Labels, expected: Labels) -> None:
    assert sorted(found) == sorted(expected)
    for name, labels in expected.items():
        np.testing.assert_array_equal(found[name], labels, err_msg=name)


class TestLabels:
    def test_equal_the_python_api(
        self, predict: Callable[..., int], weights: Path, tmp_path: Path
    ) -> None:
        """Over the runtime that both choose by default."""
        segmenter = SegmenterSettings(weights=str(weights)).build()
        images = drive(12)
        assert predict(folder_of(tmp_path / "in", images), "--runtime", "auto") == 0
        expected = {str(i): segmenter.step(image).labels for i, image in enumerate(images)}
        found = written(tmp_path / "out")
        assert_equal(found, expected)
        assert found["0"].dtype == np.uint8
        assert found["0"].shape == images[0].shape[:2]
        # Otherwise this shows nothing: neither the classes nor the memory would matter.
        assert len(np.unique(found["5"])) > 1
        segmenter.reset()
        assert (segmenter.step(images[5]).labels != found["5"]).any()

    def test_of_a_bag_equal_those_of_its_images(
        self, predict: Callable[..., int], segmenter: StreamingSegmenter, tmp_path: Path
    ) -> None:
        images = drive(6)
        messages = [
            ("/image", raw_message(image, i * SECOND // 10)) for i, image in enumerate(images)
        ]
        assert predict(write_bag(tmp_path / "bag", messages), "--topic", "/image") == 0
        expected = {
            f"{i:06d}_{i * SECOND // 10}": segmenter.step(image).labels
            for i, image in enumerate(images)
        }
        assert_equal(written(tmp_path / "out"), expected)

    def test_of_a_video(
        self, predict: Callable[..., int], segmenter: StreamingSegmenter, tmp_path: Path
    ) -> None:
        path = write_video(tmp_path / "drive.mp4", drive(6))
        assert predict(path) == 0
        expected = {
            f"{i:06d}": segmenter.step(image).labels for i, image in enumerate(read_video(path))
        }
        assert_equal(written(tmp_path / "out"), expected)

    @pytest.mark.parametrize(
        ("words", "shape"),
        [(["camera"], (48, 64)), (["network"], INPUT_SIZE), (["30", "50"], (30, 50))],
        ids=["camera", "network", "30 x 50"],
    )
    def test_have_the_wanted_size(
        self,
        predict: Callable[..., int],
        tmp_path: Path,
        words: list[str],
        shape: tuple[int, int],
    ) -> None:
        assert predict(folder_of(tmp_path / "in", drive(1)), "--output-size", *words) == 0
        assert written(tmp_path / "out")["0"].shape == shape

    def test_use_the_class_map(self, predict: Callable[..., int], tmp_path: Path) -> None:
        everything = (
            "name: all\nnetwork: 19\nclasses:\n"
            f"  - {{id: 42, name: thing, color: [1, 2, 3], from: {list(range(19))}}}\n"
        )
        (tmp_path / "all.yaml").write_text(everything)
        images = folder_of(tmp_path / "in", drive(1))
        assert predict(images, "--class-map", tmp_path / "all.yaml") == 0
        assert np.unique(written(tmp_path / "out")["0"]).tolist() == [42]

    def test_spaces_and_umlauts_in_paths(
        self, predict: Callable[..., int], tmp_path: Path
    ) -> None:
        source = tmp_path / "Straße 1 日本"
        write_image(source / "grün 1.png", drive(1)[0])
        assert predict(source, "--video", tmp_path / "ü ü" / "a b.mp4") == 0
        assert list(written(tmp_path / "out")) == ["grün 1"]
        assert len(read_video(tmp_path / "ü ü" / "a b.mp4")) == 1


class TestMemory:
    def test_is_reset_where_the_image_size_changes(
        self,
        predict: Callable[..., int],
        weights: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        first, second = drive(5), drive(5, 40, 80)
        assert predict(folder_of(tmp_path / "in", [*first, *second])) == 0
        expected = {}
        for start, images in ((0, first), (5, second)):
            fresh = SegmenterSettings(weights=str(weights), runtime="torch").build()
            for index, image in enumerate(images):
                expected[str(start + index)] = fresh.step(image).labels
        assert_equal(written(tmp_path / "out"), expected)
        assert "1 memory resets (image size changed 1)" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("stamps", "frame_ids", "reasons"),
        [
            ([0, 1, 2, 3], "aaaa", [None, None, None]),
            ([0, 1, 0, 1], "aaaa", [None, "stamp went back", None]),
            ([0, 1, 12, 13], "aaaa", [None, "gap", None]),
            ([0, 1, 2, 3], "aabb", [None, "frame id changed", None]),
        ],
        ids=["continued", "stamp back", "gap", "frame id"],
    )
    def test_follows_stamps_and_frame_ids_of_a_bag(
        self,
        segmenter: StreamingSegmenter,
        tmp_path: Path,
        stamps: list[int],
        frame_ids: str,
        reasons: list[str | None],
    ) -> None:
        messages = [
            ("/image", raw_message(image, stamp * SECOND // 10, frame_id))
            for image, stamp, frame_id in zip(drive(4), stamps, frame_ids, strict=True)
        ]
        source = open_source(write_bag(tmp_path / "bag", messages))
        frames = list(segment_frames(source, segmenter, OutputOptions(), ContinuityPolicy(1.0)))
        assert all(isinstance(frame, SegmentedFrame) for frame in frames)
        found = [f.reset_reason for f in frames if isinstance(f, SegmentedFrame)]
        assert [reason and reason.value for reason in found] == ["start", *reasons]
        held = [f.result.memory_frames for f in frames if isinstance(f, SegmentedFrame)]
        expected = 0
        for reason, frames_held in zip(found, held, strict=True):
            expected = 0 if reason else expected + 1
            assert frames_held == expected

    def test_max_gap_is_the_users(
        self, predict: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        messages = [
            ("/image", raw_message(image, i * 3 * SECOND)) for i, image in enumerate(drive(3))
        ]
        bag = write_bag(tmp_path / "bag", messages)
        assert predict(bag) == 0
        assert "2 memory resets (gap 2)" in capsys.readouterr().out
        assert predict(bag, "--max-gap", "3.5") == 0
        assert "0 memory resets" in capsys.readouterr().out

    def test_is_left_alone_by_a_frame_that_cannot_be_decoded(
        self, predict: Callable[..., int], segmenter: StreamingSegmenter, tmp_path: Path
    ) -> None:
        images = drive(6)
        source = folder_of(tmp_path / "in", images)
        (source / "3.png").write_bytes(b"broken")
        assert predict(source) == 1
        expected = {
            str(i): segmenter.step(image).labels for i, image in enumerate(images) if i != 3
        }
        assert_equal(written(tmp_path / "out"), expected)


class TestPictures:
    def test_overlays_and_video_show_every_frame(
        self, predict: Callable[..., int], segmenter: StreamingSegmenter, tmp_path: Path
    ) -> None:
        images = drive(7, 120, 160)
        video = tmp_path / "new folder" / "overlay.mp4"
        source = folder_of(tmp_path / "in", images)
        assert predict(source, "--overlay", "--video", video) == 0
        overlays = written(tmp_path / "out", "overlay")
        shown = read_video(video)
        assert len(overlays) == len(shown) == len(images)
        options = OutputOptions(overlay=OverlayRenderer(segmenter.class_map))
        for index, image in enumerate(images):
            expected = segmenter.step(image, options).overlay
            assert expected is not None
            np.testing.assert_array_equal(overlays[str(index)][..., ::-1], expected)
            assert np.abs(shown[index].astype(int) - expected).mean() < 12

    def test_only_what_is_asked_for_is_written(
        self, predict: Callable[..., int], tmp_path: Path
    ) -> None:
        assert predict(folder_of(tmp_path / "in", drive(1))) == 0
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["labels"]

    @pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.avi"])
    def test_odd_and_mixed_sizes_fit_into_one_video(
        self, predict: Callable[..., int], tmp_path: Path, name: str
    ) -> None:
        images = [*drive(2, 47, 63), *drive(1, 100, 30), *drive(1, 9, 11)]
        assert predict(folder_of(tmp_path / "in", images), "--video", tmp_path / name) == 0
        shown = read_video(tmp_path / name)
        assert [image.shape for image in shown] == [(48, 64, 3)] * 4

    def test_a_video_of_a_bag_keeps_its_pace(
        self, predict: Callable[..., int], tmp_path: Path
    ) -> None:
        stamps = range(0, 11 * SECOND // 10, SECOND // 10)
        messages = [
            ("/image", raw_message(image, stamp))
            for image, stamp in zip(drive(11), stamps, strict=True)
        ]
        bag = write_bag(tmp_path / "bag", messages)
        assert predict(bag, "--video", tmp_path / "a.mp4") == 0
        assert open_source(tmp_path / "a.mp4").frame_rate == pytest.approx(10, rel=0.01)
