"""Bags of ROS messages, written and read without ROS, over `rosbags`."""

from tdnet_offline.bags.bag import (
    IMAGE_TYPES,
    REPAIR,
    Bag,
    BagMessage,
    BagRecord,
    image_topics,
    open_bag,
    read_messages,
)
from tdnet_offline.bags.messages import (
    camera_info_message,
    compressed_image_message,
    image_message,
    message_types,
)
from tdnet_offline.bags.writer import STORAGES, BagWriter

__all__ = [
    "IMAGE_TYPES",
    "REPAIR",
    "STORAGES",
    "Bag",
    "BagMessage",
    "BagRecord",
    "BagWriter",
    "camera_info_message",
    "compressed_image_message",
    "image_message",
    "image_topics",
    "message_types",
    "open_bag",
    "read_messages",
]
