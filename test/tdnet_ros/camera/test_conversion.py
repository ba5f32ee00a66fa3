"""Any message is converted to its pixels or raises one `InputError`."""

from __future__ import annotations

import array
import sys
import tracemalloc

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image

from tdnet.errors import InputError
from tdnet.frames.preprocess import upload
from tdnet_ros.camera.conversion import image_from_message

COLOR = np.random.default_rng(0).integers(0, 256, (6, 10, 3), np.uint8)
GREY = COLOR[:, :, 0]

sizes = st.integers(1, 9)
bytes_of_padding = st.integers(0, 7)


def message(pixels: np.ndarray, encoding: str, padding: int = 0, **fields: int) -> Image:
    rows = pixels.reshape(pixels.shape[0], -1).view(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return Image(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        step=padded.shape[1],
        data=array.array("B", padded.tobytes()),
        **fields,
    )


@given(sizes, sizes, bytes_of_padding, st.randoms(use_true_random=False))
def test_plain_encodings_give_their_pixels(
    height: int, width: int, padding: int, random: object
) -> None:
    seed = random.getrandbits(32)
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    alpha = np.full((height, width, 1), 9, np.uint8)
    sent = {
        "rgb8": rgb,
        "bgr8": rgb[:, :, ::-1],
        "rgba8": np.concatenate((rgb, alpha), axis=2),
        "bgra8": np.concatenate((rgb[:, :, ::-1], alpha), axis=2),
    }
    for encoding, pixels in sent.items():
        image = message(np.ascontiguousarray(pixels), encoding, padding)
        np.testing.assert_array_equal(image_from_message(image), rgb)
    grey = image_from_message(message(np.ascontiguousarray(rgb[:, :, 0]), "mono8", padding))
    np.testing.assert_array_equal(grey, rgb[:, :, :1].repeat(3, axis=2))


def test_rgb8_is_a_view_of_the_message() -> None:
    sent = message(COLOR, "rgb8", padding=3)
    image = image_from_message(sent)
    sent.data[0] ^= 255
    assert image[0, 0, 0] == COLOR[0, 0, 0] ^ 255


@pytest.mark.parametrize("padding", [0, 6])
def test_rgb8_reaches_the_network_without_a_copy(padding: int) -> None:
    """On the CPU: what the first stage reads are the bytes of the message, padded or not."""
    sent = message(COLOR, "rgb8", padding)
    pixels = upload(image_from_message(sent), torch.device("cpu")).numpy()
    assert np.shares_memory(pixels, np.frombuffer(sent.data, np.uint8))
    np.testing.assert_array_equal(pixels, COLOR)


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8", "jpeg", "png"])
def test_a_frame_is_copied_at_most_once(encoding: str, padding: int) -> None:
    """The bytes that conversion and upload take: those of one picture where colours must move."""
    height, width = 240, 320
    rgb = cv2.resize(COLOR, (width, height))
    sent: Image | CompressedImage
    if encoding in ("jpeg", "png"):
        _, file = cv2.imencode(f".{encoding}", rgb)
        sent = CompressedImage(format=encoding, data=file.tobytes())
    else:
        channels = {"mono8": 1, "rgba8": 4, "bgra8": 4}.get(encoding, 3)
        sent = message(np.dstack((rgb, rgb))[:, :, :channels].copy(), encoding, padding)
    image_from_message(sent)
    tracemalloc.start()
    try:
        upload(image_from_message(sent), torch.device("cpu"))
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    least = 0 if encoding == "rgb8" else rgb.nbytes
    # A PNG is put together anew from the parts that are needed.
    file_bytes = len(sent.data) if encoding == "png" else 0
    assert least <= taken < least + file_bytes + 16_384


def test_pictures_are_the_same_where_opencv_decodes_to_bgr_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    smooth = cv2.resize(COLOR, (64, 48))
    files = {"png": smooth, "jpeg": smooth, "jpg": smooth[:, :, 0]}
    sent = [
        CompressedImage(format=kind, data=cv2.imencode(f".{kind}", image)[1].tobytes())
        for kind, image in files.items()
    ]
    new = [image_from_message(each) for each in sent]
    monkeypatch.delattr(cv2, "IMREAD_COLOR_RGB", raising=False)
    for picture, each in zip(new, sent, strict=True):
        np.testing.assert_array_equal(image_from_message(each), picture)
    np.testing.assert_array_equal(new[0], smooth[:, :, ::-1])


@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("encoding", ["mono16", "rgb16", "bgr16", "rgba16", "bgra16"])
def test_16_bit_samples(encoding: str, big_endian: bool, padding: int) -> None:
    channels = {"mono16": 1, "rgb16": 3, "bgr16": 3, "rgba16": 4, "bgra16": 4}[encoding]
    rgba = np.dstack((COLOR, np.full_like(GREY, 255))).astype(int)
    # Rounds to the 8 bits, with bytes that differ.
    wide = np.minimum(rgba[:, :, :channels] * 257 + 60, 65535).astype(np.uint16)
    if encoding.startswith("bgr"):
        wide = wide[:, :, [2, 1, 0, 3][:channels]]
    if big_endian != (sys.byteorder == "big"):
        wide = wide.byteswap()
    sent = message(np.ascontiguousarray(wide), encoding, padding, is_bigendian=int(big_endian))
    expected = COLOR[:, :, :1].repeat(3, axis=2) if channels == 1 else COLOR
    np.testing.assert_array_equal(image_from_message(sent), expected)


@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer(pattern: str, bits: int, padding: int) -> None:
    color = dict(zip("rgb", (200, 120, 40), strict=True))
    cell = np.array([color[letter] for letter in pattern], np.uint8).reshape(2, 2)
    mosaic = np.tile(cell, (6, 8))
    if bits == 16:
        mosaic = mosaic.astype("<u2") * 257
    image = image_from_message(message(mosaic, f"bayer_{pattern}{bits}", padding))
    inside = image[2:-2, 2:-2].reshape(-1, 3)
    np.testing.assert_array_equal(inside, np.broadcast_to((200, 120, 40), inside.shape))


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize(
    ("encoding", "luma"), [("yuv422", 1), ("uyvy", 1), ("yuv422_yuy2", 0), ("yuyv", 0)]
)
def test_yuv(encoding: str, luma: int, padding: int) -> None:
    """Red by BT.601: Y 81, U 90, V 240."""
    pixels = np.empty((4, 6, 2), np.uint8)
    pixels[:, :, luma] = 81
    pixels[:, 0::2, 1 - luma] = 90
    pixels[:, 1::2, 1 - luma] = 240
    image = image_from_message(message(pixels, encoding, padding))
    assert image.shape == (4, 6, 3)
    assert np.abs(image.astype(int) - (255, 0, 0)).max() <= 1


def test_yuv_of_an_odd_width_is_refused() -> None:
    with pytest.raises(InputError, match="5 x 6 pixels of yuyv cannot be converted"):
        image_from_message(message(COLOR[:, :5, :2].copy(), "yuyv"))


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1", "8UC3", "rgb9", "", "mono16 "])
def test_what_has_no_colours_is_refused(encoding: str) -> None:
    with pytest.raises(InputError, match=f"encoding '{encoding}'"):
        image_from_message(message(COLOR, encoding))


def test_a_short_16_bit_row_is_refused() -> None:
    with pytest.raises(InputError, match="takes 20 bytes, but step is 10"):
        image_from_message(message(GREY, "mono16"))


def test_jpeg_and_png() -> None:
    _, png = cv2.imencode(".png", COLOR[:, :, ::-1])
    sent = CompressedImage(format="rgb8; png compressed ", data=png.tobytes())
    np.testing.assert_array_equal(image_from_message(sent), COLOR)
    _, jpeg = cv2.imencode(".jpg", COLOR[:, :, ::-1])
    whole = CompressedImage(format="rgb8; jpeg compressed bgr8", data=jpeg.tobytes())
    assert image_from_message(whole).shape == COLOR.shape
    for part in (jpeg.tobytes()[:-2], png.tobytes()[:-12]):
        kind = "jpeg" if part.startswith(b"\xff\xd8") else "png"
        with pytest.raises(InputError, match="cut off"):
            image_from_message(CompressedImage(format=kind, data=part))


ENCODINGS = st.one_of(
    st.sampled_from(
        ("rgb8", "bgr8", "rgba8", "bgra8", "mono8", "mono16", "rgb16", "bgra16", "bayer_grbg8")
    ),
    st.sampled_from(("bayer_bggr16", "yuv422", "uyvy", "yuyv", "nv21", "8UC1", "64FC4", "")),
    st.text(max_size=12).map(lambda text: text.encode("utf-8", "replace").decode()),
)


@given(
    encoding=ENCODINGS,
    height=st.integers(0, 5) | st.integers(0, 2**32 - 1),
    width=st.integers(0, 5) | st.integers(0, 2**32 - 1),
    step=st.integers(0, 40) | st.integers(0, 2**32 - 1),
    is_bigendian=st.integers(0, 255),
    data=st.binary(max_size=200),
)
def test_any_image_gives_pixels_or_one_error(
    encoding: str, height: int, width: int, step: int, is_bigendian: int, data: bytes
) -> None:
    sent = Image(
        height=height,
        width=width,
        encoding=encoding,
        step=step,
        is_bigendian=is_bigendian,
        data=data,
    )
    try:
        image = image_from_message(sent)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert image.dtype == np.uint8
        assert image.shape == (height, width, 3)


@given(
    encoding=ENCODINGS,
    height=sizes,
    width=sizes,
    padding=bytes_of_padding,
    sample=st.integers(1, 8),
)
def test_any_encoding_with_data_that_fit_its_step(
    encoding: str, height: int, width: int, padding: int, sample: int
) -> None:
    sent = message(np.zeros((height, width, sample), np.uint8), encoding, padding)
    try:
        image = image_from_message(sent)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert image.shape == (height, width, 3)


@given(
    format=st.sampled_from(("jpeg", "png", "jpg", "rgb8; jpeg compressed bgr8", "tiff", ";", "")),
    start=st.sampled_from((b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")),
    data=st.binary(max_size=100),
)
def test_any_compressed_image_gives_pixels_or_one_error(
    format: str, start: bytes, data: bytes
) -> None:
    try:
        image_from_message(CompressedImage(format=format, data=start + data))
    except InputError as error:
        assert "\n" not in str(error)
