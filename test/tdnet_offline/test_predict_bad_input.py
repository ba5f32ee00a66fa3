"""What `tdnet predict` says of bad input, and what it leaves behind."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from rosbags.rosbag2 import Writer
from support.full_disk import files_of_at_most
from support.media import (
    TYPES,
    compressed_message,
    drive,
    folder_of,
    raw_message,
    write_bag,
    write_video,
    written,
)

from tdnet_offline.command import main


class TestBadInput:
    def run(
        self, *words: str | Path, limit: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        def limit_files() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        return subprocess.run(
            [sys.executable, "-m", "tdnet_offline.command", *map(str, words)],
            capture_output=True,
            text=True,
            timeout=300,
            preexec_fn=limit_files,
            check=False,
        )

    def test_a_corrupt_image_is_one_line_and_the_rest_is_written(
        self, weights: Path, tmp_path: Path
    ) -> None:
        """In a process, whose image libraries could write on its terminal too."""
        source = folder_of(tmp_path / "in", drive(5))
        (source / "2.png").write_bytes((source / "2.png").read_bytes()[:-20])
        network = ["--weights", weights, "--runtime", "torch"]
        done = self.run("predict", source, *network, "--output", tmp_path / "out")
        assert done.returncode == 1
        assert done.stderr.startswith("tdnet: refused 2.png: the PNG is cut off")
        assert done.stderr.count("\n") == 1
        assert done.stdout.startswith("4 frames segmented, 1 refused, 0 memory resets, ")
        assert sorted(written(tmp_path / "out")) == ["0", "1", "3", "4"]

    def test_a_broken_message_is_one_line(
        self,
        predict: Callable[..., int],
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        image = drive(1)[0]
        ok, data = cv2.imencode(".jpg", image)
        assert ok
        messages = [
            ("/image", compressed_message(data.tobytes()[:size], "rgb8; jpeg compressed bgr8", 0))
            for size in (len(data), len(data) // 2, len(data))
        ]
        bag = write_bag(tmp_path / "bag", messages)
        assert predict(bag) == 1
        error = capfd.readouterr().err
        assert error.startswith("tdnet: refused 000001_0: the JPEG is cut off")
        assert error.count("\n") == 1
        assert len(written(tmp_path / "out")) == 2

    def test_many_broken_messages_do_not_flood_the_terminal(
        self,
        predict: Callable[..., int],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        image = drive(1)[0]
        messages = [("/image", raw_message(image, i, encoding="rgb9")) for i in range(50)]
        assert predict(write_bag(tmp_path / "bag", messages)) == 1
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 21
        assert captured.err.endswith("further refused frames are only counted\n")
        assert captured.out.startswith("0 frames segmented, 50 refused, ")

    def test_a_bag_topic_without_messages_is_refused(
        self, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "bag"
        with Writer(path, version=8) as writer:
            writer.add_connection("/image", "sensor_msgs/msg/Image", typestore=TYPES)
        network = ["--weights", weights, "--runtime", "torch"]
        words = ["predict", path, *network, "--output", tmp_path / "out"]
        assert main([str(word) for word in words]) == 2
        assert capsys.readouterr().err == f"tdnet: {path}: there is no frame in it\n"

    def test_a_cut_off_video_is_segmented_as_far_as_it_goes(
        self,
        predict: Callable[..., int],
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        path = write_video(tmp_path / "a.mkv", drive(30))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        assert predict(path) == 1
        error = capfd.readouterr().err
        assert "the video ends early" in error
        assert error.count("\n") == 1
        assert 5 < len(written(tmp_path / "out")) < 30

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ([], "arguments are required"),
            (["missing"], "missing: no such file or folder"),
            (["empty"], "no images in this folder"),
            (["text.mp4"], "not a video"),
            (["images", "--topic", "/image"], "only a bag has topics"),
            (["images", "--output-size", "big"], "allowed are camera, network"),
            (["images", "--output-size", "0", "9"], "allowed are camera, network"),
            (["images", "--input-size", "5", "5"], "input size 5 x 5"),
            (["images", "--input-size", "5"], "expected 2 arguments"),
            (["images", "--variant", "td4-psp19"], "Did you mean 'td4-psp18'"),
            (["images", "--variant", "psp18-nano"], "does not fit psp18-nano"),
            (["images", "--weights", "text.mp4"], "text.mp4"),
            (["images", "--weights", "none.pkl"], "does not exist"),
            (["images", "--class-map", "camvid"], "11"),
            (["images", "--class-map", "nothing"], "nothing"),
            (["images", "--device", "toaster"], "toaster"),
            (["images", "--precision", "int4"], "int4"),
            (["images", "--max-gap", "-1"], "seconds from 0 to 3600"),
            (["images", "--video", "out.gif"], "must end in one of .mp4"),
            (["images", "--output", "text.mp4"], "text.mp4"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_a_mistake_is_one_line_and_exit_status_2(
        self,
        weights: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        words: list[str],
        message: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("empty").mkdir()
        folder_of(Path("images"), drive(1))
        Path("text.mp4").write_text("no video")
        defaults = ["--weights", str(weights), "--runtime", "torch", "--output", "out"]
        try:
            status = main(["predict", *defaults, *words])
        except SystemExit as error:
            status = int(str(error.code))
        captured = capsys.readouterr()
        assert status == 2
        assert message in captured.err
        assert captured.err.startswith("tdnet")
        assert captured.err.count("\n") == 1
        assert captured.out == ""

    def test_a_full_disk_is_one_line_and_leaves_no_half_file(
        self, weights: Path, tmp_path: Path
    ) -> None:
        source = folder_of(tmp_path / "in", drive(2))
        network = ["--weights", weights, "--runtime", "torch"]
        words = ["predict", source, *network, "--output", tmp_path / "out"]
        done = self.run(*words, limit=100)
        assert done.returncode == 2
        assert "labels" in done.stderr
        assert "File too large" in done.stderr
        assert done.stderr.count("\n") == 1
        assert list((tmp_path / "out" / "labels").iterdir()) == []

    def test_a_full_disk_leaves_no_half_video(
        self,
        predict: Callable[..., int],
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        source = folder_of(tmp_path / "in", drive(12, 160, 200))
        video = tmp_path / "videos" / "a.mp4"
        with files_of_at_most(20_000):
            assert predict(source, "--video", video) == 2
        assert capfd.readouterr().err.count("\n") == 1
        assert list(video.parent.iterdir()) == []

    def test_ctrl_c_leaves_only_whole_files(self, weights: Path, tmp_path: Path) -> None:
        source = folder_of(tmp_path / "in", drive(300, 120, 160))
        output, video = tmp_path / "out", tmp_path / "videos" / "a.mp4"
        network = ["--weights", weights, "--runtime", "torch"]
        words = ["predict", source, *network, "--output", output, "--video", video]
        process = subprocess.Popen(
            [sys.executable, "-m", "tdnet_offline.command", *map(str, words)],
            stderr=subprocess.PIPE,
            text=True,
            # A test run in the background of a shell has Ctrl-C ignored, and hands that on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        deadline = time.monotonic() + 120
        while not list(output.glob("labels/*.png")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=180)
        assert process.returncode == 130
        assert stderr == "tdnet: interrupted\n"
        assert 0 < len(written(output)) < 300
        assert list(video.parent.iterdir()) == []


def test_a_share_out_of_range_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["predict", "frames", "--output", "out", "--smoothing", "2"])
    assert "--smoothing: '2' is not a number from 0 to 1" in capsys.readouterr().err
