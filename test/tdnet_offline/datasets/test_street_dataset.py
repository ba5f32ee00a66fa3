"""The synthetic street as a data set."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from tdnet.errors import InputError
from tdnet_offline.datasets import open_dataset
from tdnet_offline.street import StreetDrive

SIZE = (32, 48)


def test_every_seed_is_a_video_whose_every_frame_has_labels() -> None:
    dataset = open_dataset("street:3-5@32x48,frames=4,rate=10")
    assert [video.name for video in dataset.videos] == ["street3", "street4", "street5"]
    assert (dataset.num_labelled, dataset.split, dataset.class_map.name) == (12, "", "cityscapes")
    assert {(v.num_frames, v.frame_rate, tuple(v.labelled)) for v in dataset.videos} == {
        (4, 10.0, (0, 1, 2, 3))
    }


@pytest.mark.parametrize("cached", [False, True])
def test_frames_are_those_of_the_drive(tmp_path: Path, cached: bool) -> None:
    options = f",cache={tmp_path}" if cached else ""
    video = open_dataset(f"street:4@32x48,rate=10{options}").videos[0]
    expected = StreetDrive(4, SIZE, 10.0).frame(7)
    for again in (video, pickle.loads(pickle.dumps(video))):
        np.testing.assert_array_equal(again.frame(7).image, expected.image)
        np.testing.assert_array_equal(again.labels(7), expected.labels)
    assert again.frame(7).stamp_ns == 700_000_000
    assert len(list(tmp_path.rglob("*.npy"))) == (16 if cached else 0)


def test_the_cache_is_what_is_read(tmp_path: Path) -> None:
    video = open_dataset(f"street:4@32x48,frames=1,cache={tmp_path}").videos[0]
    video.frame(0)
    (file,) = tmp_path.rglob("*.npy")
    np.save(file, np.full((*SIZE, 4), 9, np.uint8))
    assert np.all(video.frame(0).image == 9)
    file.write_bytes(b"\x93NUMPY")
    with pytest.raises(InputError, match=r"000000\.npy: damaged .*; remove the cache"):
        video.frame(0)


@pytest.mark.parametrize(
    ("description", "problem"),
    [
        ("", "got '' for the seeds"),
        ("a-b", "got 'a-b' for the seeds"),
        ("5-3", "-1 seeds; allowed are 1 to 1000000"),
        ("0-99999,frames=101", "100000 seeds with 101 frames are 10100000 frames; allowed are 10"),
        ("0-1@8x64", "sides are 32 to 4096 pixels"),
        ("0-1,frames=0", "got frames=0; allowed are 1 to 1e+06"),
        ("0-1,frames=2.5", "got frames=2.5"),
        ("0-1,rate=fast", "got rate=fast; allowed are 0.1 to 1000"),
        ("0-1,speed=3", "got 'speed=3'"),
        ("0-1,cache=", "got 'cache='"),
    ],
)
def test_mistakes_are_told_in_one_line(description: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        open_dataset(f"street:{description}")
    assert problem in str(caught.value)
    assert "write street:FIRST-LAST[@HxW]" in str(caught.value)


def test_a_frame_that_is_not_there() -> None:
    with pytest.raises(InputError, match="street0: no frame 30; it has 30"):
        open_dataset("street:0").videos[0].frame(30)
