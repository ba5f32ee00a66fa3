"""A data set seen through another class map, such as a robot's with fewer classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet_offline.datasets.video import Dataset, LabelledVideo, VideoView


class RelabelledVideo(VideoView):
    """A video whose labels are the ids that a class map gives to a network's channels.

    Args:
        video: its labels are channels.
        table: (256,) uint8, id by channel.
    """

    def __init__(self, video: LabelledVideo, table: npt.NDArray[np.uint8]) -> None:
        super().__init__(video)
        self._table = table

    def labels(self, index: int) -> npt.NDArray[np.uint8]:
        """Return the labels of frame ``index``; see `LabelledVideo.labels`."""
        return np.asarray(self._table[super().labels(index)], np.uint8)


def relabelled(dataset: Dataset, class_map: ClassMap | None) -> Dataset:
    """Give a data set the ids of another class map for the same network.

    Args:
        dataset: its class map is that of a network, ids are channels.
        class_map: how these channels become ids; None: as they are.

    Raises:
        InputError: the class map is for a network with other channels.
    """
    if class_map is None:
        return dataset
    expected = dataset.class_map.num_network_classes
    if class_map.num_network_classes != expected:
        raise InputError(
            f"class map {class_map.name} is for a network of {class_map.num_network_classes} "
            f"classes; {dataset.name} has {expected}: give one with network: "
            f"{dataset.class_map.name}"
        )
    table = class_map.id_table
    if np.array_equal(table, dataset.class_map.id_table):
        return replace(dataset, class_map=class_map)
    videos = tuple(RelabelledVideo(video, table) for video in dataset.videos)
    return replace(dataset, class_map=class_map, videos=videos)
