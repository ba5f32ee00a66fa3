"""Every command and snippet of docs/datasets.md runs, on small trees of its layouts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from support.dataset_trees import ROAD, write_nyudv2
from support.labelled import picture, write_labels
from support.media import drive, read_image, write_image, write_video

from tdnet_offline.cityscapes_layout import TRAIN_ID_OF_LABEL_ID, SnippetPaths
from tdnet_offline.command import main
from tdnet_offline.datasets import DATASETS, ClipDataset
from tdnet_offline.street import StreetDrive
from tdnet_offline.street_bag import write_street_bag

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (?:PYTHONPATH=\. )?(tdnet .*)$", PAGE, re.MULTILINE)
# First frame number of each video on the page.
VIDEOS = {"0006R0.MXF": 8, "0016E5.MXF": 8, "0005VD.MXF": 8, "01TP_extract.avi": 6670}


def commands(part: str) -> list[str]:
    found = [line for line in COMMANDS if part in line]
    assert found, part
    return found


def run(line: str, data: Path) -> int:
    """Run a command of the page, with /data replaced by another folder."""
    words = shlex.split(line)[1:]
    return main([word.replace("/data", str(data)) for word in words])


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def test_cityscapes(data: Path) -> None:
    paths = SnippetPaths(data / "cityscapes", "val", "munster")
    for frame in range(30):
        write_image(paths.image(frame), picture(frame))
    write_labels(paths.labels(19), np.full((6, 8), 7, np.uint8))
    name = "berlin_000000_000019_leftImg8bit"
    sequences = data / "cityscapes/leftImg8bit_sequence"
    write_image(sequences / f"test/berlin/{name}.png", picture(19))
    for line in commands("/data/cityscapes"):
        assert run(line, data) == 0
    assert len(list(Path("look").iterdir())) == 1
    raw_ids = np.flatnonzero(TRAIN_ID_OF_LABEL_ID != 255)
    assert np.isin(read_image(Path(f"berlin/labels/{name}.png")), raw_ids).all()
    for line in commands("/data/street "), commands("cityscapes:/data/street"):
        assert [run(command, data) for command in line] == [0] * len(line)


def test_camvid(data: Path) -> None:
    root = data / "camvid"
    root.mkdir(parents=True)
    for name in VIDEOS:
        write_video(root / "video.mkv", drive(12, 144, 192)).rename(root / name)
    lines = commands("/data/camvid")
    extractions, (check,) = lines[:-1], lines[-1:]
    assert [run(line, data) for line in extractions] == [0] * len(VIDEOS)
    for line in extractions:
        words = shlex.split(line)
        name = words[words.index("--name") + 1] % VIDEOS[Path(words[2]).name]
        folder = Path(words[3].replace("/data", str(data)))
        still = read_image(folder / f"{name}.png")[..., ::-1]
        assert still.shape == (720, 960, 3)
        write_image(root / f"701_StillsRaw_full/{name}.png", still)
        labels = np.full(still.shape, ROAD, np.uint8)
        write_labels(root / f"LabeledApproved_full/{name}_L.png", labels)
    assert run(check, data) == 0
    assert run(f"{check} --split test", data) == 0


def test_nyudv2(data: Path) -> None:
    (data / "nyudv2").mkdir(parents=True)
    write_nyudv2(data / "nyudv2")
    for line in commands("/data/nyudv2"):
        assert run(line, data) == 0


def test_a_folder_of_ones_own(data: Path) -> None:
    data.mkdir()
    write_video(data / "drive.mkv", drive(12))
    extract, check = commands("/data/garden")
    assert run(extract, data) == 0
    (text,) = re.findall(r"```yaml\n(name: .*?)```", PAGE, re.DOTALL)
    (data / "garden/class_map.yaml").write_text(text, encoding="utf-8")
    for frame in (4, 11):
        write_labels(data / f"garden/labels/drive/{frame:06d}.png", np.zeros((48, 64), np.uint8))
    (data / "garden/train.txt").write_text("drive/000004\n", encoding="utf-8")
    (data / "garden/val.txt").write_text("drive/000011\n", encoding="utf-8")
    assert run(check, data) == 0


def test_a_bag(data: Path) -> None:
    data.mkdir()
    write_street_bag(data / "drive", StreetDrive(1, (32, 48)), 4)
    for line in commands("/data/drive --topic"):
        assert run(line, data) == 0


def test_the_street(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in commands("street:"):
        assert run(line, data) == 0
    (source,) = re.findall(r"`(street:[^`]*cache=[^`]*)`", PAGE)
    small = source.replace("0-999@180x320", "0-1@32x48")
    assert run(f"tdnet check {small}", data) == 0
    assert "2 videos, 24 frames at 17.0 a second, 24 labelled" in capsys.readouterr().out
    assert list((data / "street-cache").rglob("*.npy"))


def test_another_format(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (data / "arrays/val").mkdir(parents=True)
    Path("my_data.py").write_text(text, encoding="utf-8")
    frames = np.stack(drive(6))
    np.savez(data / "arrays/val/drive.npz", frames=frames, labels=frames[..., 0] % 19)
    monkeypatch.syspath_prepend(".")
    for line in commands("/data/arrays"):
        assert run(line, data) == 0


def test_the_snippet_runs() -> None:
    (text,) = re.findall(r"## In Python\n\n((?:    .*\n)+)", PAGE)
    names: dict[str, object] = {}
    exec(re.sub(r"^    ", "", text, flags=re.M), names)
    assert isinstance(names["clips"], ClipDataset)
    assert np.shape(names["frames"]) == (4, 65, 129, 3)
    assert np.shape(names["labels"]) == (65, 129)


def test_every_command_is_run_and_every_data_set_named() -> None:
    tried = ("/data/", "street:")
    assert [line for line in COMMANDS if not any(part in line for part in tried)] == []
    assert {name for name in DATASETS if f"`{name}:" not in PAGE} == set()
