"""NYU Depth V2: the official .mat files, and raw scenes beside them."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from support.dataset_trees import NYU_SIZE, NYU_START, nyu_image, raw_name, write_nyudv2

from tdnet import ClassMap
from tdnet.errors import InputError
from tdnet_offline.datasets import ClipDataset, open_dataset
from tdnet_offline.datasets.nyudv2_files import read_ppm, undistorted

H, W = NYU_SIZE


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_nyudv2(tmp_path)
    return tmp_path


def test_labelled_frames_come_with_the_raw_ones_before_them(root: Path) -> None:
    dataset = open_dataset(f"nyudv2:{root}", "train")
    assert [(v.name, v.num_frames, list(v.labelled)) for v in dataset.videos] == [
        ("kitchen_0001_0001", 41, [4, 40]),
        ("office_0002a_0004", 10, [9]),
    ]
    video = pickle.loads(pickle.dumps(dataset.videos[0]))
    for row, index in ((0, 4), (1, 40)):
        np.testing.assert_array_equal(video.frame(index).image, nyu_image(row))
    frame = video.frame(7)
    assert frame.stamp_ns == pytest.approx((NYU_START + 0.35) * 1e9, abs=1000)
    assert tuple(frame.image[H // 2, W // 2]) == (7, 14, 248)
    np.testing.assert_array_equal(dataset.videos[1].frame(9).image, nyu_image(3))
    clips = ClipDataset(dataset, 4, spacings=(1,))
    assert clips[2, 0].frames[:, H // 2, W // 2, 0].tolist()[:3] == [6, 7, 8]


def test_894_classes_become_40(root: Path) -> None:
    found = open_dataset(f"nyudv2:{root}").videos[0].labels(40)
    assert np.all(found[0] == 255)
    assert np.all(found[1:, : W // 2] == 893 % 40)
    assert np.all(found[1:, W // 2 :] == 19)


@pytest.mark.parametrize("split", ["val", "test"])
def test_validation_is_the_official_test_list(root: Path, split: str) -> None:
    (video,) = open_dataset(f"nyudv2:{root}", split).videos
    assert (video.name, video.num_frames, list(video.labelled)) == ("office_0002a_0003", 3, [2])


def test_without_the_raw_scene_a_labelled_frame_stands_alone(root: Path) -> None:
    (root / "raw").rename(root / "elsewhere")
    dataset = open_dataset(f"nyudv2:{root}")
    assert [video.num_frames for video in dataset.videos] == [1, 1, 1]
    assert list(dataset.videos[0].also_expected) == [root / "raw/kitchen_0001"]
    np.testing.assert_array_equal(dataset.videos[2].frame(0).image, nyu_image(3))
    assert len(ClipDataset(dataset, 1)) == 3


def test_raw_frames_are_undistorted_as_the_toolbox_does_it() -> None:
    # A picture whose colour tells where it was, so that the result shows where each pixel is from.
    rows, columns = np.mgrid[0:480, 0:640]
    raw = np.dstack([rows / 2, columns / 3, np.zeros_like(rows)]).astype(np.uint8)
    straight = undistorted(raw).astype(float)
    # Brown's model with the constants of camera_params.m, written once more.
    fx, fy, cx, cy = 518.857901, 519.469611, 325.582449, 253.736166
    k1, k2, p1, p2, k3 = 0.207966153, -0.586138252, 7.22313631e-4, 1.04796272e-3, 0.498569867
    for u, v in ((320, 240), (60, 60), (600, 400), (100, 420)):
        x, y = (u - cx) / fx, (v - cy) / fy
        r2 = x * x + y * y
        radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
        xd = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        yd = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        source = ((yd * fy + cy) / 2, (xd * fx + cx) / 3)
        assert straight[v, u, :2] == pytest.approx(source, abs=1.1)
    assert np.all(straight[0, 0] == 255)


def test_damaged_raw_frames_are_named(root: Path) -> None:
    path = root / f"raw/kitchen_0001/{raw_name(3)}"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    video = open_dataset(f"nyudv2:{root}").videos[0]
    with pytest.raises(InputError, match=r"r-1294886363\.400000-3118787622\.ppm: .* cut off"):
        video.frame(3)
    path.write_bytes(b"P6 0 0 255 ")
    with pytest.raises(InputError, match="not a PPM that can be decoded"):
        video.frame(3)
    pixels = np.random.default_rng(3).integers(0, 256, (480, 640, 3), np.uint8)
    path.write_bytes(b"P6 # a remark\n# and one more\n 640 480\n255\n" + pixels.tobytes())
    np.testing.assert_array_equal(read_ppm(path), pixels)
    path.write_bytes(b"P6 480 640 255 " + bytes(3 * 480 * 640))
    with pytest.raises(InputError, match="a picture of 640 x 480; raw pictures are 480 x 640"):
        video.frame(3)


def test_a_pause_of_the_scene_is_a_break(root: Path) -> None:
    folder = root / "raw/kitchen_0001"
    for frame in range(10, 35):
        (folder / raw_name(frame)).unlink()
    (video, _) = open_dataset(f"nyudv2:{root}").videos
    assert list(video.breaks) == [10]
    assert [video.frames_before(index) for index in (4, 9, 10, 15)] == [4, 9, 0, 5]
    text = "name: few\nnetwork: nyudv2\nrest: unlabelled\nclasses:\n"
    text += "  - {id: 1, name: walls, color: [1, 2, 3], from: [wall]}\n"
    few = ClassMap.from_yaml(text, "few.yaml")
    assert list(open_dataset(f"nyudv2:{root}", class_map=few).videos[0].breaks) == [10]


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("labels", np.zeros((4, 640, 479), np.uint16)),
        ("labels", np.zeros((4, 640, 480), np.float64)),
        ("labels", np.zeros((4, 640, 480), np.int16)),
        ("images", np.zeros((4, 640, 480), np.uint8)),
        ("images", np.zeros((3, 3, 640, 480), np.uint8)),
    ],
)
def test_pictures_of_another_size_or_type(root: Path, key: str, other: np.ndarray) -> None:
    with h5py.File(root / "nyu_depth_v2_labeled.mat", "a") as file:
        del file[key]
        file.create_dataset(key, data=other, compression="gzip", compression_opts=1)
    found = rf"{key} are {other.dtype} \({', '.join(map(str, other.shape))}\); expected"
    with pytest.raises(InputError, match=found):
        open_dataset(f"nyudv2:{root}")


@pytest.mark.parametrize("name", ["nyu_depth_v2_labeled.mat", "splits.mat", "classMapping40.mat"])
def test_missing_and_damaged_files_are_named(root: Path, name: str) -> None:
    (root / name).write_bytes((root / name).read_bytes()[:100])
    with pytest.raises(InputError, match=rf"{name}: .*read"):
        open_dataset(f"nyudv2:{root}")
    (root / name).unlink()
    with pytest.raises(InputError, match=rf"{name}: does not exist; https://cs\.nyu\.edu"):
        open_dataset(f"nyudv2:{root}")


def test_files_that_are_not_the_official_ones(root: Path) -> None:
    savemat(root / "splits.mat", {"trainNdxs": np.array([[5]])})
    with pytest.raises(InputError, match="trainNdxs names frames that .* 4 does not have"):
        open_dataset(f"nyudv2:{root}")
    with pytest.raises(InputError, match=r"splits\.mat: has no testNdxs; is it the official"):
        open_dataset(f"nyudv2:{root}", "test")
    savemat(root / "splits.mat", {"trainNdxs": np.array([[1]])})
    savemat(root / "classMapping40.mat", {"mapClass": np.arange(13)[None]})
    with pytest.raises(InputError, match="mapClass has 13 values from 0 to 12; expected are 894"):
        open_dataset(f"nyudv2:{root}")


def test_labels_above_894(root: Path) -> None:
    with h5py.File(root / "nyu_depth_v2_labeled.mat", "a") as file:
        file["labels"][0, 0, 0] = 895
    with pytest.raises(InputError, match="labels number 1 go up to 895; allowed are 0 to 894"):
        open_dataset(f"nyudv2:{root}").videos[0].labels(4)
