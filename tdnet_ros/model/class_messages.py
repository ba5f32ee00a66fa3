"""The messages that describe the classes of the labels."""

from __future__ import annotations

from std_msgs.msg import ColorRGBA, Header
from vision_msgs.msg import LabelInfo, VisionClass

from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.msg import ClassMap, SegmentationClass


def label_info_message(header: Header, model: ActiveModel) -> LabelInfo:
    """Return the names of a model's classes, as Nav2 reads them.

    The threshold is the class probability below which a pixel is unlabelled, 0 to 1.
    """
    return LabelInfo(
        header=header,
        class_map=[
            VisionClass(class_id=entry.id, class_name=entry.name)
            for entry in model.segmenter.class_map.classes
        ],
        threshold=model.settings.confidence_threshold,
    )


def class_map_message(header: Header, model: ActiveModel) -> ClassMap:
    """Return a model's classes with their colours.

    Hidden are those of the class map and those of the parameter.
    """
    class_map = model.segmenter.class_map
    hidden_classes = model.settings.overlay.hidden_classes
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
