"""Bags of ROS messages, written and read without ROS, over `rosbags`."""

from tdnet_offline.bags.bag import (
    IMAGE_TYPES,
    REPAIR,
    Bag,
    BagRecord,
    bag_reason,
    image_topics,
    open_bag,
)
from tdnet_offline.bags.messages import (
    camera_info_message,
    image_message,
    message_types,
)
from tdnet_offline.bags.writer import STORAGES, BagWriter

__all__ = [
    "IMAGE_TYPES",
    "REPAIR",
    "STORAGES",
    "Bag",
    "BagRecord",
    "BagWriter",
    "bag_reason",
    "camera_info_message",
    "image_message",
    "image_topics",
    "message_types",
    "open_bag",
]
