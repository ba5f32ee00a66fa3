"""A folder of your own: frames, and labels for some of them, at paths that match patterns."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet_offline.datasets import SPLITS
from tdnet_offline.datasets.folder_layout import FolderLayout, OwnLabels
from tdnet_offline.datasets.picture_files import FileVideo
from tdnet_offline.datasets.video import Dataset, MissingFilesError
from tdnet_offline.frames.image_files import IMAGE_SUFFIXES, natural_key

CLASS_MAP = "class_map.yaml"


def open_folder(root: str, split: str, class_map: ClassMap | None) -> Dataset:
    """Open frames and labels at the paths of ``ROOT/layout.yaml``.

    By default these are ``ROOT/frames/VIDEO/NAME.png`` and ``ROOT/labels/VIDEO/NAME.png``.

    Args:
        root: the folder.
        split: for ``{split}`` in the patterns. If they do not have it: name of a list
            ``ROOT/SPLIT.txt`` with a line ``VIDEO`` or ``VIDEO/NAME``, with or without suffix,
            for each part of the split; without any list every split is the whole.
        class_map: meaning of the labels; None: ``ROOT/class_map.yaml``.

    Raises:
        InputError: the layout is not valid, frames are missing, labels have no frame, a list
            names a missing file.
        ClassMapError: there is no class map, or it is not valid.
    """
    folder = Path(root)
    layout = FolderLayout.load(folder)
    files = layout.files(folder, "frames", split)
    if not files:
        raise MissingFilesError(f"{folder}: no images match {layout.frames!r} in split {split}")
    frames: dict[str, dict[str, Path]] = defaultdict(dict)
    # Names that differ only in leading zeros have the same natural key.
    for video, name in sorted(files, key=lambda key: (*map(natural_key, key), key)):
        frames[video][name] = files[video, name]
    labels: dict[str, dict[str, Path]] = {video: {} for video in frames}
    for (video, name), path in sorted(layout.files(folder, "labels", split).items()):
        if (video, name) not in files:
            raise InputError(f"{path}: no image matches {layout.frames!r} for these labels")
        labels[video][name] = path
    reader = OwnLabels(class_map or _class_map(folder), layout)
    chosen = None
    if "{split}" not in layout.frames:
        chosen = _read_list(folder, split)
    if chosen is not None:
        labels = _choose(chosen, labels, folder / f"{split}.txt")
    videos = []
    for video, named in labels.items():
        places = {name: place for place, name in enumerate(frames[video])}
        labelled = {places[name]: path for name, path in named.items()}
        images = list(frames[video].values())
        videos.append(FileVideo(video, images, labelled, reader, layout.frame_rate))
    has_splits = chosen is not None or "{split}" in layout.frames
    return Dataset("folder", root, split if has_splits else "", reader.class_map, tuple(videos))


def _choose(
    names: list[str], labels: dict[str, dict[str, Path]], path: Path
) -> dict[str, dict[str, Path]]:
    """Return the labels whose ``VIDEO`` or ``VIDEO/NAME`` is in the list of a split."""
    videos = {name for name in names if "/" not in name}
    for name in sorted(videos - set(labels)):
        raise InputError(f"{path}: there is no video {name!r}")
    known = {f"{video}/{name}" for video in labels for name in labels[video]}
    listed = set(names) - videos
    frames = {name if name in known else _without_suffix(name) for name in listed}
    for name in sorted(frames - known):
        raise InputError(f"{path}: {name!r} has no labels")
    chosen = {}
    for video, found in labels.items():
        single = {name: file for name, file in found.items() if f"{video}/{name}" in frames}
        if video in videos or single:
            chosen[video] = found if video in videos else single
    return chosen


def _without_suffix(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    return stem if f"{dot}{ending}".lower() in IMAGE_SUFFIXES else name


def _class_map(folder: Path) -> ClassMap:
    path = folder / CLASS_MAP
    if not path.is_file():
        raise InputError(
            f"{path}: does not exist; write the meaning of the labels into it, or give a class map"
        )
    return ClassMap.load(path)


def _read_list(folder: Path, split: str) -> list[str] | None:
    path = folder / f"{split}.txt"
    if not path.is_file():
        others = [name for name in SPLITS if (folder / f"{name}.txt").is_file()]
        if others:
            raise InputError(
                f"{path}: does not exist, but lists for {', '.join(others)} do; write one"
            )
        return None
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text ({error.reason})") from error
    return [line.strip() for line in lines if line.strip()]
