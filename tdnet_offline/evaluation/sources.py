"""The sources of an evaluation: data sets and bags, whose frames count together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet_offline.datasets.folder import CLASS_MAP
from tdnet_offline.datasets.registry import names_a_bag, open_dataset
from tdnet_offline.datasets.video import Dataset, LabelledVideo, VideoView


def open_sources(
    sources: Sequence[str],
    split: str,
    network_classes: ClassMap,
    *,
    keep_classes: bool,
    topic: str | None = None,
    label_topic: str | None = None,
) -> Dataset:
    """Open data sets (``NAME:ROOT``) and bags as one data set.

    Args:
        sources: one or more.
        split: part of the data sets.
        network_classes: class map of the network; the labels of bags have its ids.
        keep_classes: whether data sets keep their own class maps. Otherwise they use the
            network's, except a folder that has a class map in a file.
        topic: images of the bags.
        label_topic: labels of the bags.

    Raises:
        InputError: a source cannot be opened, their classes differ, or there is no frame.
    """
    any_bag = any(map(names_a_bag, sources))
    datasets = []
    for source in sources:
        name, _, root = source.partition(":")
        is_bag = names_a_bag(source)
        has_class_map = name == "folder" and (Path(root) / CLASS_MAP).is_file()
        # Topics belong to the bags, unless there is none: then they are an error.
        with_topics = is_bag or not any_bag
        dataset = open_dataset(
            source,
            split,
            class_map=network_classes if is_bag or not (keep_classes or has_class_map) else None,
            topic=topic if with_topics else None,
            label_topic=label_topic if with_topics else None,
        )
        datasets.append(dataset)
    pooled = pool(datasets)
    if not any(video.num_frames for video in pooled.videos):
        raise InputError(f"{sources[0]}: there is no frame in it")
    return pooled


def pool(datasets: Sequence[Dataset]) -> Dataset:
    """Put the videos of data sets with the same classes together; their names become unique.

    Raises:
        InputError: the classes of two data sets differ, or a video is in two of them.
    """
    if len(datasets) == 1:
        return datasets[0]
    for other in datasets[1:]:
        check_same_classes(datasets[0].class_map, other.class_map)
    pairs = [(dataset, video) for dataset in datasets for video in dataset.videos]
    times = Counter(video.name for _, video in pairs)
    videos: list[LabelledVideo] = []
    owners: dict[tuple[object, ...], Dataset] = {}
    for dataset, video in pairs:
        identity = _identity(dataset, video, times[video.name])
        if identity in owners:
            raise InputError(
                f"video {video.name} is given twice, by {source_name(owners[identity])} and by "
                f"{source_name(dataset)}; give each one once"
            )
        owners[identity] = dataset
        if times[video.name] > 1:
            renamed = f"{source_name(dataset)}/{video.name}"
            video = VideoView(video)
            video.name = renamed
        videos.append(video)
    return Dataset(
        name=", ".join(source_name(dataset) for dataset in datasets),
        root="",
        split=" ".join(dict.fromkeys(d.split for d in datasets if d.split)),
        class_map=datasets[0].class_map,
        videos=tuple(videos),
    )


def check_same_classes(one: ClassMap, other: ClassMap) -> None:
    """Check that labels mean the same in two class maps, such as a network's and a data set's.

    Raises:
        InputError: an id has different classes, or only one of the two has it.
    """
    names = [{entry.id: entry.name for entry in classes.classes} for classes in (one, other)]
    for class_id in sorted(names[0].keys() | names[1].keys()):
        first, second = (known.get(class_id, "no class") for known in names)
        if first != second:
            raise InputError(
                f"label {class_id} is {first!r} in class map {one.name!r}, but {second!r} in "
                f"class map {other.name!r}; give --class-map with the data set's ids and names, "
                "weights for its classes, or one source at a time"
            )


def source_name(dataset: Dataset) -> str:
    """Return the name of a data set in the user's words."""
    if dataset.name == "bag":
        return dataset.root
    return f"{dataset.name}:{dataset.root}" if dataset.root else dataset.name


def _identity(dataset: Dataset, video: LabelledVideo, times: int) -> tuple[object, ...]:
    """Return what only this video has, whatever the name of its source."""
    root = Path(dataset.root)
    if dataset.name != "street":
        in_files = dataset.root and root.exists()
        return video.name, str(root.resolve()) if in_files else source_name(dataset)
    # A name that occurs once needs no rendering.
    return (video.name, video.frame_rate, video.frame(0).image.shape if times > 1 else None)
