"""A plain folder of frames and labels."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from support.labelled import picture, write_labels
from support.media import write_image

from tdnet import ClassMap
from tdnet.errors import InputError
from tdnet_offline.datasets import ClipDataset, Dataset, open_dataset

DOCS = Path(__file__).parents[3] / "docs"
PAGE = "".join((DOCS / f"{n}.md").read_text("utf-8") for n in ("datasets", "converting-labels"))
CLASS_MAP = """\
name: garden
network: 3
classes:
  - {id: 0, name: grass, color: [0, 160, 0]}
  - {id: 1, name: path, color: [200, 180, 120]}
  - {id: 2, name: hose, color: [255, 0, 0]}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two videos of 12 frames, frames 3, 8 and 11 labelled, the names without leading zeros."""
    (tmp_path / "class_map.yaml").write_text(CLASS_MAP, encoding="utf-8")
    for video in ("drive2", "drive10"):
        for frame in range(12):
            write_image(tmp_path / f"frames/{video}/{frame}.jpg", picture(frame))
        for frame in (3, 8, 11):
            write_labels(tmp_path / f"labels/{video}/{frame}.png", np.full((6, 8), 1, np.uint8))
    return tmp_path


def labelled(dataset: Dataset) -> dict[str, list[int]]:
    return {video.name: list(video.labelled) for video in dataset.videos}


def test_labels_belong_to_frames_of_the_same_name(root: Path) -> None:
    dataset = open_dataset(f"folder:{root}")
    assert labelled(dataset) == {"drive2": [3, 8, 11], "drive10": [3, 8, 11]}
    assert list(labelled(dataset)) == ["drive2", "drive10"]
    assert (dataset.class_map.name, dataset.split) == ("garden", "")
    video = pickle.loads(pickle.dumps(dataset.videos[0]))
    assert (video.num_frames, video.frame_rate) == (12, None)
    assert [video.frame(index).name for index in (0, 2, 10)] == ["0", "2", "10"]
    assert np.all(video.labels(8) == 1)
    assert video.frame(8).stamp_ns is None


def test_a_given_class_map_counts(root: Path) -> None:
    (root / "class_map.yaml").unlink()
    with pytest.raises(InputError, match=r"class_map\.yaml: does not exist; write .* or give"):
        open_dataset(f"folder:{root}")
    given = ClassMap.load("camvid")
    assert open_dataset(f"folder:{root}", class_map=given).class_map is given


def test_labels_in_the_colours_of_the_classes(root: Path) -> None:
    path = root / "labels/drive2/3.png"
    colours = np.zeros((6, 8, 3), np.uint8)
    colours[:3] = (255, 0, 0)
    colours[3] = (0, 160, 0)
    write_labels(path, colours)
    labels = open_dataset(f"folder:{root}").videos[0].labels(3)
    assert labels[:, 0].tolist() == [2, 2, 2, 0, 255, 255]
    write_labels(path, np.full((6, 8, 3), 9, np.uint8))
    with pytest.raises(InputError, match=r"3\.png: 48 pixels have colours that class map garden"):
        open_dataset(f"folder:{root}").videos[0].labels(3)
    same = CLASS_MAP.replace("[255, 0, 0]", "[0, 160, 0]")
    (root / "class_map.yaml").write_text(same, encoding="utf-8")
    with pytest.raises(InputError, match=r"two classes have colour \[0, 160, 0\]"):
        open_dataset(f"folder:{root}").videos[0].labels(3)


def test_lists_choose_videos_and_frames(root: Path) -> None:
    (root / "train.txt").write_text("drive2\n\ndrive10/3\n", encoding="utf-8")
    (root / "val.txt").write_text("drive10/8.png\ndrive10/11.JPG\n", encoding="utf-8")
    train = open_dataset(f"folder:{root}", "train")
    assert labelled(train) == {"drive2": [3, 8, 11], "drive10": [3]}
    val = open_dataset(f"folder:{root}", "val")
    assert labelled(val) == {"drive10": [8, 11]}
    assert (val.split, val.videos[0].num_frames) == ("val", 12)
    with pytest.raises(InputError, match=r"test\.txt: does not exist, but lists for train"):
        open_dataset(f"folder:{root}", "test")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("drive3", r"val\.txt: there is no video 'drive3'"),
        ("drive2/4", r"val\.txt: 'drive2/4' has no labels"),
        ("drive2/3.tif", r"val\.txt: 'drive2/3.tif' has no labels"),
    ],
)
def test_a_list_that_names_what_is_not_there(root: Path, line: str, problem: str) -> None:
    (root / "val.txt").write_text(line, encoding="utf-8")
    with pytest.raises(InputError, match=problem):
        open_dataset(f"folder:{root}", "val")


def test_labels_without_a_frame_are_named(root: Path) -> None:
    write_labels(root / "labels/drive2/40.png", np.zeros((6, 8), np.uint8))
    with pytest.raises(
        InputError, match=r"labels/drive2/40\.png: no image matches 'frames/\{video\}"
    ):
        open_dataset(f"folder:{root}")
    (root / "labels/drive2/40.png").unlink()
    write_labels(root / "labels/drive7/1.png", np.zeros((6, 8), np.uint8))
    with pytest.raises(InputError, match=r"labels/drive7/1\.png: no image matches 'frames"):
        open_dataset(f"folder:{root}")


def test_ids_outside_the_class_map_are_named(root: Path) -> None:
    write_labels(root / "labels/drive2/3.png", np.full((6, 8), 3, np.uint8))
    clips = ClipDataset(open_dataset(f"folder:{root}"), 2)
    with pytest.raises(
        InputError, match=r"labels/drive2/3\.png: 48 pixels have ids that class map"
    ):
        clips[0, 0]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no images match 'frames/.*' in split train; docs/datasets"
    ):
        open_dataset(f"folder:{tmp_path}")
    with pytest.raises(InputError, match="no such folder; folder is a folder with frames/VIDEO"):
        open_dataset(f"folder:{tmp_path}/none")
    with pytest.raises(InputError, match=r"only a bag has topics; leave out '/labels'"):
        open_dataset(f"folder:{tmp_path}", label_topic="/labels")


def test_no_labelled_frame_at_all(root: Path) -> None:
    (root / "labels").rename(root / "masks")
    dataset = open_dataset(f"folder:{root}")
    assert dataset.num_labelled == 0
    with pytest.raises(InputError, match="no labelled frame in 2 videos"):
        ClipDataset(dataset, 2)


def test_labels_saved_as_jpeg_are_told(root: Path) -> None:
    write_image(root / "labels/drive2/5.jpg", picture(5))
    (root / "labels/drive2/notes.json").write_text("{}", encoding="utf-8")
    video = open_dataset(f"folder:{root}").videos[0]
    assert list(video.labelled) == [3, 5, 8, 11]
    with pytest.raises(InputError, match=r"labels/drive2/5\.jpg: labels must be a PNG; JPEG"):
        video.labels(5)


PUBLIC = {
    # Layout on the page: class map, split, files of frames and labels, value or colour and its id.
    "VSPW": (124, "train", "data/7_x/origin/1.jpg", "data/7_x/mask/1.png", 124, 123),
    "CamVid of SegNet": ("camvid", "val", "val/1.png", "valannot/1.png", 11, 255),
    "CamVid of Kaggle": ("camvid", "val", "val/1.png", "val_labels/1_L.png", (64, 192, 128), 4),
    "BDD100K": (
        *("cityscapes", "val", "images/10k/val/1.jpg", "labels/sem_seg/masks/val/1.png"),
        *(13, 13),
    ),
    "Images and masks": ("cityscapes", "train", "images/1.jpg", "masks/1.png", 2, 2),
    "Roboflow": ("cityscapes", "val", "valid/1.jpg", "valid/1_mask.png", 0, 0),
}
LAYOUTS = dict(re.findall(r"```yaml\n# ([^\n]*)\n(.*?)```", PAGE, re.DOTALL))


@pytest.mark.parametrize("name", PUBLIC)
def test_layouts_of_public_data_sets(tmp_path: Path, name: str) -> None:
    classes, split, frame, label, value, expected = PUBLIC[name]
    (tmp_path / "layout.yaml").write_text(LAYOUTS[name], encoding="utf-8")
    write_image(tmp_path / frame, picture(1))
    write_labels(
        tmp_path / label, np.full((6, 8, 3)[: 2 + isinstance(value, tuple)], value, np.uint8)
    )
    class_map = ClassMap.numbered(classes) if isinstance(classes, int) else ClassMap.load(classes)
    dataset = open_dataset(f"folder:{tmp_path}", split, class_map=class_map)
    (video,) = dataset.videos
    assert video.name == ("7_x" if name == "VSPW" else "1")
    assert (list(video.labelled), video.frame(0).name) == ([0], "1")
    assert (video.labels(0) == expected).all()
    assert dataset.split == ("" if "{split}" not in LAYOUTS[name] else split)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "frames: images/x.png",
            r"layout\.yaml:1: frames: got 'images/x.png'; allowed .*\{name\}",
        ),
        ("frames: '{clip}/{name}.png'", r"layout\.yaml:1: frames: got '\{clip\}/"),
        ("frames: '/{name}.png'", r"layout\.yaml:1: frames: got '/"),
        ("splits: {train: /data}", r"layout\.yaml:1: splits\.train: got '/data'; allowed a path"),
        ("splits: {train: ../data}", r"layout\.yaml:1: splits\.train: got '\.\./data'"),
        ("splits: {train: '{1}'}", r"layout\.yaml:1: splits\.train: got '\{1\}'"),
        ("labels: 'masks/{name}.png'", r"layout\.yaml:1: labels: give \{video\} in frames and"),
        ("ignored: [256]", r"layout\.yaml:1: ignored\[0\]: got 256; allowed 0 to 255, or a"),
        ("ignored: ['#12']", r"layout\.yaml:1: ignored\[0\]: got '#12'"),
        ("values: {gras: [9]}", r"values: no class 'gras' in class map garden; .* mean grass"),
        ("frame: x", "unknown key 'frame'; allowed frames,"),
    ],
)
def test_mistakes_in_a_layout_are_named(root: Path, text: str, problem: str) -> None:
    (root / "layout.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=problem):
        open_dataset(f"folder:{root}")


@pytest.mark.parametrize(
    "frames", ["frames/a/*{name}.jpg", "frames/**/x_{name}.jpg", "frames/a/{video}{name}.jpg"]
)
def test_wildcards_side_by_side(tmp_path: Path, frames: str) -> None:
    (tmp_path / "class_map.yaml").write_text(CLASS_MAP, encoding="utf-8")
    labels = "{video}{name}.png" if "{video}" in frames else "{name}.png"
    (tmp_path / "layout.yaml").write_text(f"frames: '{frames}'\nlabels: '{labels}'\n")
    write_image(tmp_path / "frames/a/x_1.jpg", picture(1))
    (video,) = open_dataset(f"folder:{tmp_path}").videos
    assert video.frame(0).name.endswith("1")


def test_videos_in_the_names_of_flat_files(tmp_path: Path) -> None:
    (tmp_path / "class_map.yaml").write_text(CLASS_MAP, encoding="utf-8")
    text = "frames: 'images/{video}_{name}.jpg'\nlabels: 'masks/{video}_{name}.png'\n"
    (tmp_path / "layout.yaml").write_text(f"{text}frame_rate: 10\n", encoding="utf-8")
    for frame in range(11):
        write_image(tmp_path / f"images/a_b_{frame}.jpg", picture(frame))
    write_labels(tmp_path / "masks/a_b_10.png", np.full((6, 8), 2, np.uint8))
    (video,) = open_dataset(f"folder:{tmp_path}").videos
    assert (video.name, list(video.labelled), video.frame_rate) == ("a_b", [10], 10.0)
    assert [video.frame(index).name for index in (2, 10)] == ["a_b_2", "a_b_10"]
    write_image(tmp_path / "images/a_b_10.jpeg", picture(1))
    (tmp_path / "layout.yaml").write_text(text.replace(".jpg", ".*"), encoding="utf-8")
    with pytest.raises(InputError, match=r"a_b_10.* are frames of the same name; rename one"):
        open_dataset(f"folder:{tmp_path}")
