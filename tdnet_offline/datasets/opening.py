"""Opens a data set by what a user writes: ``NAME:ROOT``, or the path of a bag."""

from __future__ import annotations

from pathlib import Path

from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError, UnknownNameError
from tdnet_offline.datasets.catalogue import DATASETS, SPLITS
from tdnet_offline.datasets.relabelling import relabelled
from tdnet_offline.datasets.video import Dataset
from tdnet_offline.frames import is_bag


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
        source: ``NAME:ROOT`` with a name of `DATASETS`, or the path of a bag.
        split: "train", "val" or "test"; the street, a bag, and a folder without lists have none.
        class_map: what labels mean; None: as the data set has it, of a bag: Cityscapes' ids. For
            the published data sets and the street it is one for a network of their classes, and
            their labels become its ids.
        topic: images of a bag; None if it has only one image topic beside the labels.
        label_topic: labels of a bag, matched by stamp; None: it has none.

    Raises:
        InputError: there is no such data set, or nothing in it can be used.
        UnknownNameError: no such name or split.
        ClassMapError: the folder's class map is missing or not valid.
    """
    if split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    name, colon, root = source.partition(":")
    if not colon or name not in DATASETS:
        return _open_bag(source, class_map, topic, label_topic)
    if topic or label_topic:
        raise InputError(f"{source}: only a bag has topics; leave out {topic or label_topic!r}")
    if name != "street" and not Path(root).is_dir():
        raise InputError(f"{source}: no such folder; {name} is a {DATASETS[name]}")
    if name == "folder":
        from tdnet_offline.datasets.folder import open_folder

        return open_folder(root, split, class_map)
    return relabelled(_open_published(name, root, split), class_map)


def _open_published(name: str, root: str, split: str) -> Dataset:
    if name == "cityscapes":
        from tdnet_offline.datasets.cityscapes import open_cityscapes

        return open_cityscapes(root, split)
    if name == "camvid":
        from tdnet_offline.datasets.camvid import open_camvid

        return open_camvid(root, split)
    if name == "nyudv2":
        from tdnet_offline.datasets.nyudv2 import open_nyudv2

        return open_nyudv2(root, split)
    from tdnet_offline.datasets.street import open_street

    return open_street(root)


def _open_bag(
    source: str, class_map: ClassMap | None, topic: str | None, label_topic: str | None
) -> Dataset:
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
    from tdnet_offline.datasets.bag import open_labelled_bag

    return open_labelled_bag(path, topic, label_topic, class_map or ClassMap.load("cityscapes"))
