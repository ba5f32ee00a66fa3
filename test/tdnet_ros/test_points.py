"""Camera info and points of the running node, and one line if they cannot be published."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_srvs.srv import SetBool
from support.ros_graph import RosGraph, image_message, pixels_of, wait_for
from support.stuck_network import StuckNetwork

from tdnet import StreamingSegmenter
from tdnet_ros.camera import camera_geometry
from tdnet_ros.msg import SegmentationStatus

FOCAL = 50.0


class RgbdDriver:
    """A driver that sends image, aligned depth and camera info of one stamp."""

    def __init__(self, graph: RosGraph) -> None:
        self.graph = graph
        self.image = graph.camera()
        self.depth = graph.user.create_publisher(Image, "/depth", 10)
        self.info = graph.user.create_publisher(CameraInfo, "/camera_info", 10)

    def wait_for_subscribers(self, count: int) -> None:
        """Send images until so many of depth and camera info are subscribed to."""
        publishers = (self.depth, self.info)

        def subscribed() -> bool:
            self.image.publish(image_message(np.zeros((72, 120, 3), np.uint8)))
            return sum(p.get_subscription_count() for p in publishers) == count

        wait_for(subscribed, f"{count} subscriptions of depth and camera info")

    def send(
        self,
        image: np.ndarray,
        depth: np.ndarray,
        seconds: float,
        apart: float = 0.0,
        encoding: str = "32FC1",
    ) -> None:
        height, width = image.shape[:2]
        k = [FOCAL, 0.0, width / 2, 0.0, FOCAL, height / 2, 0.0, 0.0, 1.0]
        sent = image_message(image, seconds)
        self.info.publish(CameraInfo(header=sent.header, height=height, width=width, k=k))
        self.send_depth(depth, seconds + apart, encoding)
        self.image.publish(sent)

    def send_depth(self, depth: np.ndarray, seconds: float, encoding: str = "32FC1") -> None:
        message = image_message(depth.view(np.uint8), seconds, encoding=encoding)
        message.width //= 4
        self.depth.publish(message)


def ramp(height: int, width: int) -> np.ndarray:
    """A slope, (H, W) float32 metres, with a hole."""
    depth = np.linspace(1, 9, height * width, dtype=np.float32).reshape(height, width)
    depth[5:9, 5:9] = np.nan
    return depth


def coordinates(cloud: PointCloud2) -> np.ndarray:
    """Return (H, W, 4) float32: x, y, z, and label and confidence in the last one's bytes."""
    assert [f.name for f in cloud.fields] == ["x", "y", "z", "label", "confidence"]
    return np.frombuffer(cloud.data, np.float32).reshape(cloud.height, cloud.width, 4)


def of_stamp(messages: list[Any], second: int) -> list[Any]:
    return [message for message in list(messages) if message.header.stamp.sec == second]


@pytest.mark.distribution
def test_points_and_camera_info_of_the_labels(
    active: RosGraph, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    driver = RgbdDriver(active)
    labels = active.listen(Image, "/tdnet/labels")
    driver.wait_for_subscribers(0)
    assert not driver.depth.get_subscription_count()
    points = active.listen(PointCloud2, "/tdnet/points")
    infos = active.listen(CameraInfo, "/tdnet/camera_info")
    driver.wait_for_subscribers(2)
    confidence = active.listen(Image, "/tdnet/confidence")
    image, depth = images[0], ramp(*images[0].shape[:2])
    driver.send(image, depth, 7.0)
    wait_for(lambda: of_stamp(points.messages, 7), "points")
    wait_for(lambda: of_stamp(confidence.messages, 7), "confidence")
    (cloud,), (info,) = of_stamp(points.messages, 7), of_stamp(infos.messages, 7)
    (label_image,) = of_stamp(labels.messages, 7)
    assert cloud.header == info.header == label_image.header
    got = coordinates(cloud)
    np.testing.assert_array_equal(got[..., 2], depth)
    rows, columns = np.mgrid[: depth.shape[0], : depth.shape[1]]
    height, width = depth.shape
    np.testing.assert_allclose(got[..., 0], depth * (columns - width / 2) / FOCAL, rtol=1e-5)
    np.testing.assert_allclose(got[..., 1], depth * (rows - height / 2) / FOCAL, rtol=1e-5)
    values = np.ascontiguousarray(got[..., 3]).view(np.uint8).reshape(height, width, 4)
    np.testing.assert_array_equal(values[..., 0], pixels_of(label_image))
    (shown,) = of_stamp(confidence.messages, 7)
    np.testing.assert_array_equal(values[..., 1], pixels_of(shown))

    # Smaller outputs and chosen classes, on the running node.
    chosen = int(np.bincount(pixels_of(label_image).ravel(), minlength=20).argmax())
    name = segmenter.class_map.class_by_id(chosen).name
    results = active.set_parameters(output_size="36, 60", points__classes=[name])
    assert all(result.successful for result in results)
    driver.send(image, depth, 8.0)
    wait_for(lambda: of_stamp(points.messages, 8), "points")
    (cloud,), (info,) = of_stamp(points.messages, 8), of_stamp(infos.messages, 8)
    (label_image,) = of_stamp(labels.messages, 8)
    assert (info.height, info.width) == (cloud.height, cloud.width) == (36, 60)
    assert info.k[0] == FOCAL / 2
    seen = np.isfinite(coordinates(cloud)[..., 2])
    known = np.isfinite(depth[1::2, 1::2])
    np.testing.assert_array_equal(seen, known & (pixels_of(label_image) == chosen))

    # In a pause nothing is received.
    assert active.call(SetBool, "/tdnet/enable", SetBool.Request(data=False)).success
    driver.wait_for_subscribers(0)
    assert active.call(SetBool, "/tdnet/enable", SetBool.Request(data=True)).success
    driver.wait_for_subscribers(2)

    points.close(active.node_publisher("/tdnet/points"))
    infos.close(active.node_publisher("/tdnet/camera_info"))
    driver.wait_for_subscribers(0)


def test_a_frame_waits_only_for_depth_that_will_come(
    active: RosGraph, images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_geometry, "WAIT", 60.0)
    image, depth = images[0], ramp(*images[0].shape[:2])
    driver = RgbdDriver(active)
    points = active.listen(PointCloud2, "/tdnet/points")
    status = active.listen(SegmentationStatus, "/tdnet/status")
    driver.wait_for_subscribers(2)
    for second in (4, 5):
        driver.send(image, depth, second, apart=-0.005)
        if second == 4:
            driver.send_depth(depth, 4.0)
        wait_for(partial(of_stamp, points.messages, second), f"points of {second}")
    # Everything else is published before the wait.
    driver.image.publish(image_message(image, 6.0))
    wait_for(lambda: of_stamp(status.messages, 6), "the status")
    assert not of_stamp(points.messages, 6)
    driver.send_depth(depth, 6.0)
    wait_for(lambda: of_stamp(points.messages, 6), "points")

    # Depth that is too late is waited for once.
    monkeypatch.setattr(camera_geometry, "WAIT", 1.0)
    began = time.perf_counter()
    for number in range(1, 9):
        driver.send(image, depth, 7 + number / 1000, apart=-0.2)
        wait_for(lambda n=number: len(of_stamp(status.messages, 7)) == n, "the status")
    assert time.perf_counter() - began < 4.0


def test_points_of_a_slow_frame_have_its_depth(
    active: RosGraph, images: list[np.ndarray], stuck: StuckNetwork
) -> None:
    image, depth = images[0], ramp(*images[0].shape[:2])
    driver = RgbdDriver(active)
    points = active.listen(PointCloud2, "/tdnet/points")
    driver.wait_for_subscribers(2)
    assert stuck.reached.wait(20)
    driver.send(image, depth, 5.0)
    later = iter(range(1, 100))

    def two_seconds_later() -> bool:
        number = next(later)
        driver.send_depth(depth + 1, 5.0 + number / 30)
        return number == 60

    wait_for(two_seconds_later, "later depth")
    stuck.release.set()
    (cloud,) = wait_for(lambda: of_stamp(points.messages, 5), "points")
    np.testing.assert_array_equal(coordinates(cloud)[..., 2], depth)


def test_what_is_wrong_is_one_line_and_the_labels_go_on(
    active: RosGraph, images: list[np.ndarray]
) -> None:
    image, depth = images[0], ramp(*images[0].shape[:2])
    driver = RgbdDriver(active)
    log = active.listen_to_log()
    points = active.listen(PointCloud2, "/tdnet/points")
    labels = active.listen(Image, "/tdnet/labels")
    driver.wait_for_subscribers(2)

    def logged(problem: str) -> bool:
        driver.image.publish(image_message(image, 3.0))
        return any(problem in text for text in log.texts)

    missing = "no /tdnet/points: nothing arrives on /camera_info: start the driver"
    wait_for(lambda: logged(missing), missing)
    small = np.ascontiguousarray(depth[::2, ::2])
    problems = (
        "no /tdnet/points: the depth image has 60 x 36 pixels, but the camera's image 120 x 72",
        "no message on /depth has the stamp of the image: the nearest is -200 ms apart",
        "encoding 'rgb8'; allowed: 32FC1 (metres), 16UC1 (millimetres)",
    )
    half = np.ascontiguousarray(image[::2, ::2])
    for first in (4, 8):  # the second time without another line
        for second in range(first, first + 4):
            sizes = ((image, small), (image, depth), (image, depth), (half, small))
            apart = -0.2 if second == first + 1 else 0.0
            encoding = "rgb8" if second == first + 2 else "32FC1"
            driver.send(*sizes[second - first], second, apart, encoding)
            wait_for(partial(of_stamp, labels.messages, second), f"labels of {second}")
            if second < first + 3:
                log.wait_for_text(problems[second - first])
        wait_for(partial(of_stamp, points.messages, first + 3), "points after all that")
    assert {m.header.stamp.sec for m in points.messages} == {7, 11}
    assert [log.count(problem) for problem in problems] == [1, 1, 1]


def test_every_camera_has_its_own_inputs(graph: RosGraph, weights: str) -> None:
    """Beside its image; the topic of the depth may change while the node runs."""
    rear = "rear" * 15
    graph.start(weights=weights, device="cpu", cameras=["front", rear], depth="aligned/depth")
    camera = graph.camera(topic=f"/{rear}/image")
    graph.listen(PointCloud2, f"/tdnet/{rear}/points")

    def subscribed() -> set[str]:
        camera.publish(image_message(np.zeros((72, 120, 3), np.uint8)))
        names = {
            name for name, _ in graph.user.get_subscriber_names_and_types_by_node("tdnet", "/")
        }
        return names - {"/front/image", f"/{rear}/image"}

    wanted = {f"/{rear}/camera_info", f"/{rear}/aligned/depth"}
    wait_for(lambda: subscribed() == wanted, f"subscriptions of {wanted}")
    assert all(result.successful for result in graph.set_parameters(depth="depth"))
    wanted = {f"/{rear}/camera_info", f"/{rear}/depth"}
    wait_for(lambda: subscribed() == wanted, f"subscriptions of {wanted}")

    # A name that is too long with the camera's costs the points only.
    log, labels = graph.listen_to_log(), graph.listen(Image, f"/tdnet/{rear}/labels")
    assert all(result.successful for result in graph.set_parameters(depth="d" * 200))
    camera.publish(image_message(np.zeros((72, 120, 3), np.uint8), 9.0))
    wait_for(lambda: of_stamp(labels.messages, 9), "labels")
    log.wait_for_text(f"no /tdnet/{rear}/points: depth is ddd")
