"""Several bags or data sets as one, so that their frames count together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tdnet.errors import InputError
from tdnet_offline.datasets.video import Dataset, LabelledVideo, VideoView
from tdnet_offline.evaluation.setting import check_same_classes, source_name


class _RenamedVideo(VideoView):
    """A video under another name."""

    def __init__(self, name: str, video: LabelledVideo) -> None:
        super().__init__(video)
        self.name = name


def pooled(datasets: Sequence[Dataset]) -> Dataset:
    """Put the videos of data sets with the same classes together.

    Args:
        datasets: one or more; videos whose names are not unique get that of their data set too.

    Raises:
        InputError: the classes of two differ, or the same videos come twice.
    """
    if len(datasets) == 1:
        return datasets[0]
    for other in datasets[1:]:
        check_same_classes(datasets[0].class_map, other.class_map)
    times = Counter(video.name for dataset in datasets for video in dataset.videos)
    videos: dict[str, LabelledVideo] = {}
    givers: dict[tuple[object, ...], Dataset] = {}
    for dataset in datasets:
        for video in dataset.videos:
            name = video.name
            for identity in _identities(dataset, video, alone=times[name] == 1):
                other = givers.setdefault(identity, dataset)
                if other is not dataset:
                    raise InputError(
                        f"video {name} is given twice, by {source_name(other)} and by "
                        f"{source_name(dataset)}; give each one once"
                    )
            if times[name] > 1:
                name = f"{source_name(dataset)}/{name}"
                video = _RenamedVideo(name, video)
            if name in videos:
                raise InputError(f"{source_name(dataset)} is given twice; give each source once")
            videos[name] = video
    return Dataset(
        name=", ".join(source_name(dataset) for dataset in datasets),
        root="",
        split=" ".join(dict.fromkeys(d.split for d in datasets if d.split)),
        class_map=datasets[0].class_map,
        videos=tuple(videos.values()),
    )


def _identities(
    dataset: Dataset, video: LabelledVideo, alone: bool
) -> Iterator[tuple[object, ...]]:
    """Yield what only this video has, under whatever name its source is given."""
    if dataset.name == "street":
        if not alone:  # else it need not be rendered
            yield "street", video.name, video.frame_rate, video.frame(0).image.shape
        return
    if dataset.root and Path(dataset.root).exists():
        yield "source", Path(dataset.root).resolve(), video.name
    if video.num_frames:
        yield from (("file", path.resolve()) for path in video.files(0))
