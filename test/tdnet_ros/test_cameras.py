"""Several cameras: one set of weights, a memory and topics each."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import Image
from support.ros_graph import RosGraph, image_message, pixels_of

from tdnet import StreamingSegmenter
from tdnet_ros.msg import SegmentationStatus


def test_cameras_do_not_touch_each_other(
    graph: RosGraph, weights: str, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    graph.start(weights=weights, device="cpu", cameras=["front", "rear"])
    front = graph.listen(Image, "/tdnet/front/labels")
    rear = graph.listen(Image, "/tdnet/rear/labels")
    statuses = {
        name: graph.listen(SegmentationStatus, f"/tdnet/{name}/status")
        for name in ("front", "rear")
    }
    cameras = {name: graph.camera(topic=f"/{name}/image") for name in ("front", "rear")}
    streams = {name: segmenter.open_stream() for name in cameras}
    broken = image_message(images[0], encoding="rgb9")
    for count, image in enumerate(images[:5], start=1):
        views = {"front": image, "rear": np.ascontiguousarray(image[:40, ::-1])}
        cameras["rear"].publish(broken)
        for name, view in views.items():
            cameras[name].publish(image_message(view, count / 10, name))
        for name, listener in (("front", front), ("rear", rear)):
            message = listener.wait(count)[-1]
            assert message.header.frame_id == name
            expected = streams[name].step(views[name]).labels
            np.testing.assert_array_equal(pixels_of(message), expected)
    for name, status in statuses.items():
        last = status.wait(5)[-1]
        assert last.camera == name
        assert last.segmented == 5
        assert last.received == last.segmented + last.dropped + last.refused
        assert [m.reset_reason for m in status.messages] == ["activated", "", "", "", ""]
    assert statuses["front"].messages[-1].received == 5
    assert statuses["rear"].messages[-1].received == 10
