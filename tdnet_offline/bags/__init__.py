"""Bags of ROS messages, written and read without ROS, over `rosbags`."""

from tdnet_offline.bags.message_types import message_types
from tdnet_offline.bags.messages import (
    camera_info_message,
    compressed_image_message,
    image_message,
)
from tdnet_offline.bags.reading import (
    IMAGE_TYPES,
    BagMessage,
    image_topics,
    open_bag,
    read_messages,
)
from tdnet_offline.bags.record import Bag, BagRecord
from tdnet_offline.bags.writing import STORAGES, BagWriter

__all__ = [
    "IMAGE_TYPES",
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
