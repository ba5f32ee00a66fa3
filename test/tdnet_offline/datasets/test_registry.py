"""Opening data sets by name and by class path."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tdnet import ClassMap
from tdnet.errors import InputError
from tdnet_offline.command import main
from tdnet_offline.datasets import DATASETS, SPLITS, open_dataset
from tdnet_offline.datasets.registry import import_function, names_a_bag

MODULE = """\
import numpy as np
from support.videos import MemoryVideo
from tdnet import ClassMap
from tdnet_offline.datasets import Dataset


def open_mine(root, split, class_map=None):
    picture = np.zeros((8, 8, 3), np.uint8)
    video = MemoryVideo("v", [picture] * 4, {3: picture[..., 0]})
    return Dataset("mine", root, split, class_map or ClassMap.load("cityscapes"), (video,))


def open_nothing(root, split, class_map):
    return None


def open_other(folder):
    return None


NUMBER = 7
"""


@pytest.fixture(autouse=True)
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_data.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_data", raising=False)


@pytest.mark.parametrize("name", DATASETS)
def test_every_row_can_be_imported(name: str) -> None:
    entry = DATASETS[name]
    assert callable(import_function(entry.opener))
    assert not entry.check or callable(import_function(entry.check))


def test_a_data_set_of_ones_own_is_opened_by_class_path() -> None:
    dataset = open_dataset("own_data.open_mine:/data:1", "val")
    assert (dataset.name, dataset.root, dataset.split) == ("mine", "/data:1", "val")
    np.testing.assert_array_equal(dataset.videos[0].labels(3), np.zeros((8, 8)))
    other = ClassMap.load("camvid")
    assert open_dataset("own_data.open_mine:/data", class_map=other).class_map == other
    assert not names_a_bag("own_data.open_mine:/data")


def test_the_command_takes_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "own_data.open_mine:/data"]) == 0
    assert capsys.readouterr().out.startswith("mine:/data, train; class map cityscapes\n")


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("own_data.open_nothing:x", "returned NoneType; return a tdnet_offline.datasets.Dataset"),
        ("own_data.open_other:x", r"is called as .*: missing a required argument: 'folder'"),
        ("own_data.NUMBER:x", "is not a function or class"),
        ("own_data.open_yours:x", "module own_data has no 'open_yours'"),
        ("other_data.open_mine:x", "no module 'other_data'; is its folder on PYTHONPATH"),
        ("os.system:x", "is called as"),
    ],
)
def test_what_cannot_be_one_is_named(source: str, part: str) -> None:
    with pytest.raises(InputError, match=part):
        open_dataset(source)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        pytest.param("def open_mine(:", r"invalid syntax \(broken_data.py, line 1\)", id="syntax"),
        pytest.param("from os import nothing", "cannot import name 'nothing'", id="name"),
        pytest.param("import os\nos.nothing", "'os' has no attribute 'nothing'", id="attribute"),
        pytest.param("1 / 0", "division by zero", id="other"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named(tmp_path: Path, text: str, part: str) -> None:
    (tmp_path / "broken_data.py").write_text(text, encoding="utf-8")
    expected = f"broken_data.open_mine: module broken_data cannot be imported: .*{part}"
    with pytest.raises(InputError, match=expected):
        open_dataset("broken_data.open_mine:x")


def test_a_bag_with_dots_and_a_colon_in_its_name_is_a_bag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not names_a_bag("drive.v1:2.mcap")
    (tmp_path / "drive.v1:2.mcap").touch()
    assert names_a_bag("drive.v1:2.mcap")


def test_missing_files_are_reported_with_their_source(tmp_path: Path) -> None:
    for name in ("cityscapes", "camvid", "nyudv2", "folder"):
        for split in SPLITS:
            with pytest.raises(InputError) as caught:
                open_dataset(f"{name}:{tmp_path}", split)
            assert str(caught.value).endswith(DATASETS[name].source)
