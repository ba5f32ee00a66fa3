"""The table of data sets, and opening one by ``NAME:ROOT``, by class path, or as a bag.

Commands read the table for their help, so it imports neither PyTorch nor the data sets.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tdnet.errors import InputError, UnknownNameError, first_line
from tdnet_offline.datasets import SPLITS

if TYPE_CHECKING:
    from tdnet.class_map.model import ClassMap
    from tdnet_offline.datasets.video import Dataset


@dataclass(frozen=True)
class DatasetEntry:
    """A row of `DATASETS`.

    Attributes:
        opener: class path of a function ``(root, split, class_map) -> Dataset``, imported when
            the data set is opened. ``class_map`` is the meaning of the labels that the user
            gave, or None.
        root: what the user writes behind the colon.
        source: where to get missing files; added to `MissingFilesError`.
        check: class path of a function ``(root) -> (problems, notes)`` for `tdnet check`; empty:
            no check beyond the usual ones.
        root_is_folder: whether the root must be an existing folder.
    """

    opener: str
    root: str
    source: str = ""
    check: str = ""
    root_is_folder: bool = True


_HERE = "tdnet_offline.datasets"
DATASETS = {
    "cityscapes": DatasetEntry(
        f"{_HERE}.cityscapes.open_cityscapes",
        "folder with gtFine, and leftImg8bit_sequence or, for stills, leftImg8bit",
        "https://www.cityscapes-dataset.com/downloads has the labels (gtFine_trainvaltest.zip), "
        "the sequences (leftImg8bit_sequence_trainvaltest.zip, 324 GB) and the labelled frames "
        "alone (leftImg8bit_trainvaltest.zip, 11 GB), which suffice for single-frame networks",
    ),
    "camvid": DatasetEntry(
        f"{_HERE}.camvid.open_camvid",
        "folder with 701_StillsRaw_full, LabeledApproved_full and frames",
        "http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid has 701_StillsRaw_full.zip, "
        "LabeledApproved_full.zip and the videos; docs/datasets.md says how their frames are "
        "extracted",
        check=f"{_HERE}.camvid.check_frame_numbers",
    ),
    "nyudv2": DatasetEntry(
        f"{_HERE}.nyudv2.open_nyudv2",
        "folder with nyu_depth_v2_labeled.mat, splits.mat, classMapping40.mat and raw",
        "https://cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html has nyu_depth_v2_labeled.mat "
        "and the raw videos, https://github.com/ankurhanda/nyuv2-meta-data has splits.mat and "
        "classMapping40.mat; docs/datasets.md says where each belongs",
    ),
    "folder": DatasetEntry(
        f"{_HERE}.folder.open_folder",
        "folder with frames/VIDEO, labels/VIDEO and class_map.yaml, or a layout.yaml",
        "docs/datasets.md shows the layout of the folder, and how to describe another one",
    ),
    "street": DatasetEntry(
        f"{_HERE}.street.open_street",
        "synthetic street, rendered as it is read: FIRST-LAST[@HxW], a range of seeds",
        root_is_folder=False,
    ),
}
"""By the name that stands before the colon."""

_CLASS_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def open_dataset(
    source: str,
    split: str = "train",
    *,
    class_map: ClassMap | None = None,
    topic: str | None = None,
    label_topic: str | None = None,
) -> Dataset:
    """Open a data set.

    Args:
        source: ``NAME:ROOT`` with a name of `DATASETS`; ``PACKAGE.MODULE.FUNCTION:ROOT`` with a
            function of your own, called as ``FUNCTION(root=..., split=..., class_map=...)``,
            that returns a `Dataset`; or the path of a bag.
        split: "train", "val" or "test"; a data set without splits ignores it.
        class_map: meaning of the labels; None: the data set's own, for a bag Cityscapes' ids.
            For the published data sets and the street, a class map for a network of their
            classes; their labels become its ids.
        topic: images of a bag; None: its only image topic beside the labels.
        label_topic: labels of a bag, matched by timestamp; None: no labels.

    Raises:
        InputError: there is no such data set, or nothing in it can be used.
        UnknownNameError: no such name or split.
        ClassMapError: the folder's class map is missing or not valid.
    """
    from tdnet_offline.datasets.video import Dataset, MissingFilesError

    if split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    name, root = _name_and_root(source)
    if not name:
        return _open_bag(source, class_map, topic, label_topic)
    if topic or label_topic:
        raise InputError(f"{source}: only a bag has topics; leave out {topic or label_topic!r}")
    entry = DATASETS.get(name)
    if entry is not None and entry.root_is_folder and not Path(root).is_dir():
        raise InputError(f"{source}: no such folder; {name} is a {entry.root}")
    opener = import_function(name if entry is None else entry.opener)
    arguments = {"root": root, "split": split, "class_map": class_map}
    try:
        inspect.signature(opener).bind(**arguments)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{source}: {name} is called as {name}(root=..., split=..., class_map=...): {error}"
        ) from error
    try:
        dataset = opener(**arguments)
    except MissingFilesError as error:
        if entry is None:
            raise
        raise InputError(f"{error}; {entry.source}") from error
    if not isinstance(dataset, Dataset):
        raise InputError(
            f"{source}: {name} returned {type(dataset).__name__}; return a "
            "tdnet_offline.datasets.Dataset"
        )
    return dataset


def names_a_bag(source: str) -> bool:
    """Return whether a source of `open_dataset` is the path of a bag."""
    return not _name_and_root(source)[0]


def _name_and_root(source: str) -> tuple[str, str]:
    """Split NAME:ROOT; the name is empty for the path of a bag."""
    name, colon, root = source.partition(":")
    is_class_path = _CLASS_PATH.fullmatch(name) is not None and not Path(source).exists()
    return (name, root) if colon and (name in DATASETS or is_class_path) else ("", source)


def import_function(class_path: str) -> Callable[..., Any]:
    """Import a function or class by ``PACKAGE.MODULE.NAME``.

    Raises:
        InputError: there is no such module or name, or the module cannot be imported.
        ModuleNotFoundError: a package that the module needs is not installed.
    """
    module_name, _, name = class_path.rpartition(".")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # a package that the module itself needs
        raise InputError(
            f"{class_path}: no module {error.name!r}; is its folder on PYTHONPATH?"
        ) from error
    except Exception as error:
        raise InputError(
            f"{class_path}: module {module_name} cannot be imported: {first_line(error)}"
        ) from error
    try:
        found = getattr(module, name)
    except AttributeError as error:
        raise InputError(f"{class_path}: module {module_name} has no {name!r}") from error
    if not callable(found):
        raise InputError(f"{class_path} is not a function or class")
    return found


def _open_bag(
    source: str, class_map: ClassMap | None, topic: str | None, label_topic: str | None
) -> Dataset:
    from tdnet.class_map.model import ClassMap
    from tdnet_offline.datasets.bag import open_labelled_bag
    from tdnet_offline.frames import is_bag

    name, colon, _ = source.partition(":")
    path = Path(source)
    if not path.exists() and colon and "/" not in name:
        raise UnknownNameError("data set", name, DATASETS)
    if not path.exists() or not is_bag(path):
        given = "is not a bag" if path.exists() else "there is nothing at this path"
        raise InputError(
            f"{source}: {given}; give the path of a bag, or NAME:ROOT with NAME one of "
            f"{', '.join(DATASETS)}"
        )
    return open_labelled_bag(path, topic, label_topic, class_map or ClassMap.load("cityscapes"))
