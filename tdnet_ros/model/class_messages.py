"""Which classes the labels stand for: the latched topics."""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import ColorRGBA, Header
from vision_msgs.msg import LabelInfo, VisionClass

import tdnet.class_map.model
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.msg import ClassMap, SegmentationClass


class ClassPublishers:
    """`~/label_info` and `~/class_map`: whoever joins late gets the last message of each.

    Args:
        node: publishes.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        latched = QoSProfile(
            depth=1,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )
        self._label_info = node.create_lifecycle_publisher(LabelInfo, "~/label_info", latched)
        self._class_map = node.create_lifecycle_publisher(ClassMap, "~/class_map", latched)

    def publish(self, model: ActiveModel) -> None:
        """Publish the classes that frames have labels of from now on."""
        header = Header(stamp=self._node.get_clock().now().to_msg())
        class_map = model.segmenter.class_map
        hidden = model.settings.overlay.hidden_classes
        self._label_info.publish(
            label_info_message(header, class_map, model.settings.confidence_threshold)
        )
        self._class_map.publish(class_map_message(header, class_map, hidden))

    def destroy(self) -> None:
        """Remove the topics."""
        self._node.destroy_lifecycle_publisher(self._label_info)
        self._node.destroy_lifecycle_publisher(self._class_map)


def label_info_message(
    header: Header, class_map: tdnet.class_map.model.ClassMap, threshold: float
) -> LabelInfo:
    """Give the names of the classes as Nav2 reads them.

    Args:
        header: of the message.
        class_map: the classes.
        threshold: class probability below which a pixel is unlabelled, 0 to 1.
    """
    return LabelInfo(
        header=header,
        class_map=[
            VisionClass(class_id=entry.id, class_name=entry.name) for entry in class_map.classes
        ],
        threshold=threshold,
    )


def class_map_message(
    header: Header, class_map: tdnet.class_map.model.ClassMap, hidden_classes: tuple[str, ...]
) -> ClassMap:
    """Give the classes with their colours.

    Args:
        header: of the message.
        class_map: the classes.
        hidden_classes: names that the overlay leaves out, beside those hidden in the class map.
    """
    return ClassMap(
        header=header,
        name=class_map.name,
        classes=[
            SegmentationClass(
                id=entry.id,
                name=entry.name,
                color=ColorRGBA(
                    r=entry.color[0] / 255, g=entry.color[1] / 255, b=entry.color[2] / 255, a=1.0
                ),
                hidden=entry.hidden or entry.name in hidden_classes,
            )
            for entry in class_map.classes
        ],
    )
