"""What Nav2's semantic segmentation layer relies on, by a subscriber that does what it does.

The layer subscribes to mask, confidence and an organised point cloud, best effort, and to the
latched LabelInfo. It pairs the three by their stamps, walks over mask and cloud side by side at
v * width + u, and looks each class id up by the names of its own configuration.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2, PointField
from support.ros_graph import Listener, RosGraph, image_message, wait_for
from vision_msgs.msg import LabelInfo

from tdnet import ClassMap, OutputOptions, StreamingSegmenter
from tdnet.class_map.classes import UNLABELLED

pytestmark = pytest.mark.distribution

SENSOR_DATA = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
LABEL_INFO = QoSProfile(
    depth=5, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
# Of the point cloud: another one than of the images.
HEIGHT, WIDTH = 30, 40
# Costs by name, as a user configures the layer; other classes are ignored.
COSTS = {"road": 0, "sidewalk": 50, "vegetation": 200, "person": 254, "sky": 1}


Observed = dict[tuple[float, float], tuple[str, int, int]]


class Layer:
    """Gives, for every point of the cloud, the class name, cost and confidence that it got."""

    def __init__(self, graph: RosGraph) -> None:
        cloud_topic = "/camera/points"
        self.cloud_publisher = graph.user.create_publisher(PointCloud2, cloud_topic, SENSOR_DATA)
        self._inputs = (
            graph.listen(Image, "/tdnet/labels", SENSOR_DATA),
            graph.listen(Image, "/tdnet/confidence", SENSOR_DATA),
            Listener(graph.user, PointCloud2, cloud_topic, SENSOR_DATA),
        )
        wait_for(self.cloud_publisher.get_subscription_count, "the layer to listen to the cloud")
        self._names: dict[int, str] = {}
        self.skipped_ids: set[int] = set()

    def read_label_info(self, message: LabelInfo) -> None:
        for entry in message.class_map:
            if entry.class_name in COSTS:
                assert entry.class_id <= 255  # the layer keeps ids in 8 bit
                self._names[entry.class_id] = entry.class_name

    def wait(self, count: int) -> Observed:
        """The newest observation, as soon as there are so many."""

        def paired() -> list[tuple[Any, ...]]:
            by_stamp = [
                {(m.header.stamp.sec, m.header.stamp.nanosec): m for m in list(listener.messages)}
                for listener in self._inputs
            ]
            common = sorted(set.intersection(*map(set, by_stamp)))
            return [tuple(messages[stamp] for messages in by_stamp) for stamp in common]

        wait_for(lambda: len(paired()) == count, "mask, confidence and cloud of one stamp")
        return self._observe(*paired()[-1])

    def _observe(self, mask: Image, confidence: Image, cloud: PointCloud2) -> Observed:
        points = np.frombuffer(cloud.data, np.float32).reshape(-1, 3)
        observed = {}
        for v in range(mask.height):
            for u in range(mask.width):
                index = v * mask.width + u  # into all three; no other way to index is known
                x, y, z = points[index]
                class_id = mask.data[index]
                if not np.isfinite(z):
                    continue
                if class_id not in self._names:
                    self.skipped_ids.add(class_id)
                    continue
                name = self._names[class_id]
                observed[(x, y)] = (name, COSTS[name], confidence.data[index])
        return observed


def cloud(header: Any) -> PointCloud2:
    """An organised cloud whose point at row v, column u lies at (u, v); some are missing."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    depth = np.where((rows + columns) % 7 == 0, np.nan, 1).astype(np.float32)
    points = np.stack([columns, rows, depth], axis=2)
    fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate("xyz")
    ]
    return PointCloud2(
        header=header,
        height=HEIGHT,
        width=WIDTH,
        fields=fields,
        point_step=12,
        row_step=12 * WIDTH,
        data=points.tobytes(),
    )


def test_the_layer_sees_every_class_where_it_is(
    graph: RosGraph, weights: str, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    threshold = 0.12  # some labels of these weights are below, some above
    graph.start(
        weights=weights,
        device="cpu",
        output_size=f"{HEIGHT}, {WIDTH}",
        confidence_threshold=threshold,
    )
    layer = Layer(graph)
    camera = graph.camera()
    camera.publish(image_message(images[0], 0.9))
    segmenter.step(images[0])
    # The costmap often starts last: the names must still reach it.
    info = graph.listen(LabelInfo, "/tdnet/label_info", LABEL_INFO).wait()[0]
    layer.read_label_info(info)
    assert info.threshold == pytest.approx(threshold)

    options = OutputOptions((HEIGHT, WIDTH), confidence_threshold=threshold)
    class_map = ClassMap.load("cityscapes")
    for count, image in enumerate(images[1:5], start=1):
        sent = image_message(image, 1 + count / 10)
        layer.cloud_publisher.publish(cloud(sent.header))
        camera.publish(sent)
        observed = layer.wait(count)
        expected = segmenter.step(image, options)
        assert expected.confidence is not None
        known = {}
        for v, u in np.ndindex(HEIGHT, WIDTH):
            label = int(expected.labels[v, u])
            if (v + u) % 7 and label != UNLABELLED:
                name = class_map.class_by_id(label).name
                known[(u, v)] = (name, int(expected.confidence[v, u]))
        wanted = {
            point: (name, COSTS[name], confidence)
            for point, (name, confidence) in known.items()
            if name in COSTS
        }
        assert observed == wanted
        assert 0 < len(wanted) < len(known)
    assert UNLABELLED in layer.skipped_ids
