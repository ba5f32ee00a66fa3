"""What is read from the wire is what the middleware reads, and without copying the data."""

from __future__ import annotations

import array
import struct
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from tdnet.errors import InputError
from tdnet.frames.preprocess import upload
from tdnet_ros.camera.conversion import image_from_message
from tdnet_ros.camera.serialized_images import (
    ReceivedFile,
    ReceivedImage,
    read_compressed_image,
    read_image,
)

pytestmark = pytest.mark.distribution

LITTLE, BIG = b"\x00\x01\x00\x00", b"\x00\x00\x00\x00"
FIELDS = ("height", "width", "encoding", "is_bigendian", "step")

# Without zeros, which end a text on its way.
texts = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=9)
headers = st.builds(
    lambda sec, nanosec, frame_id: Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=frame_id),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(0, 2**32 - 1),
    texts,
)
numbers = st.integers(0, 2**32 - 1)
data = st.binary(max_size=40).map(lambda content: array.array("B", content))
images = st.builds(
    Image,
    header=headers,
    height=numbers,
    width=numbers,
    encoding=texts,
    is_bigendian=st.integers(0, 255),
    step=numbers,
    data=data,
)
files = st.builds(CompressedImage, header=headers, format=texts, data=data)


def on_the_wire(message: Image | CompressedImage) -> bytes:
    return bytes(serialize_message(message))


@given(images)
def test_images_are_read_as_the_middleware_reads_them(sent: Image) -> None:
    wire = on_the_wire(sent)
    read, reference = read_image(wire), deserialize_message(wire, Image)
    assert isinstance(read, ReceivedImage)
    assert read_image(reference) is reference
    assert read.header == reference.header
    assert all(getattr(read, name) == getattr(reference, name) for name in FIELDS)
    assert read.data.tobytes() == reference.data.tobytes()


@given(files)
def test_files_are_read_as_the_middleware_reads_them(sent: CompressedImage) -> None:
    wire = on_the_wire(sent)
    read, reference = read_compressed_image(wire), deserialize_message(wire, CompressedImage)
    assert isinstance(read, ReceivedFile)
    assert read_compressed_image(reference) is reference
    assert (read.header, read.format) == (reference.header, reference.format)
    assert read.data.tobytes() == reference.data.tobytes()


def big_endian(frame_id: bytes, encoding: bytes, pixels: bytes) -> bytes:
    """A message of another kind of machine, put together by hand."""

    def parts() -> Iterator[tuple[str, tuple[int | bytes, ...]]]:
        yield "iI", (-5, 6)
        for text in (frame_id, encoding):
            yield f"I{len(text) + 1}s", (len(text) + 1, text)
            if text is frame_id:
                yield "II", (1, 2)
        yield "B", (1,)
        yield "I", (6,)
        yield f"I{len(pixels)}s", (len(pixels), pixels)

    wire = b""
    for kind, values in parts():
        if kind != "B":
            wire += bytes(-len(wire) % 4)
        wire += struct.pack(f">{kind}", *values)
    return BIG + wire


def test_the_other_byte_order() -> None:
    wire = big_endian(b"camera", b"rgb8", b"abcdef")
    read, reference = read_image(wire), deserialize_message(wire, Image)
    assert isinstance(read, ReceivedImage)
    assert (
        read.header == reference.header == Header(stamp=Time(sec=-5, nanosec=6), frame_id="camera")
    )
    assert [getattr(read, name) for name in FIELDS] == [1, 2, "rgb8", 1, 6]
    assert read.data.tobytes() == reference.data.tobytes() == b"abcdef"


def test_what_is_no_utf8_is_replaced() -> None:
    wire = big_endian(b"\xff\0x", b"rgb8", b"abcdef")
    frame_id = read_image(wire).header.frame_id
    assert (
        frame_id == deserialize_message(wire, Image).header.frame_id == "\N{REPLACEMENT CHARACTER}"
    )


@given(images, st.data())
def test_a_message_that_is_cut_off_is_refused(sent: Image, choice: st.DataObject) -> None:
    wire = on_the_wire(sent)
    # The last bytes may be padding.
    kept = choice.draw(st.integers(0, len(wire) - len(sent.data) % 4 - 4))
    with pytest.raises(InputError, match="cut off|cannot read a message"):
        read_image(wire[:kept])


@given(st.sampled_from((LITTLE, BIG, b"\x00\x07\x00\x00", b"")), st.binary(max_size=120))
def test_any_bytes_are_read_or_refused_with_one_error(start: bytes, content: bytes) -> None:
    for read in (read_image, read_compressed_image):
        try:
            message = read(start + content)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert len(message.data) <= len(content)


def test_the_pixels_stay_where_they_are_up_to_the_network() -> None:
    """No copy, no warning of PyTorch that the bytes were not to be written."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 10, 3), np.uint8)
    sent = Image(height=6, width=10, encoding="rgb8", step=30, data=pixels.tobytes())
    wire = on_the_wire(sent)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = upload(image_from_message(read_image(wire)), torch.device("cpu"))
    assert np.shares_memory(tensor.numpy(), np.frombuffer(wire, np.uint8))
    np.testing.assert_array_equal(tensor.numpy(), pixels)
    del wire
    np.testing.assert_array_equal(tensor.numpy(), pixels)  # which keeps the bytes alive
