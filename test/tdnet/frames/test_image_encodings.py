"""Every encoded image is decoded to its pixels, or raises one clear `InputError`."""

from __future__ import annotations

import array
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdnet.errors import InputError, UnsupportedEncodingError
from tdnet.frames.image_encodings import decode_compressed, decode_raw
from tdnet.frames.image_files import (
    MAX_FILE_BYTES,
    MAX_PARTS,
    MAX_PIXELS,
    MAX_SCANS,
    MAX_SIDE,
    read_picture,
)

PNG_START = b"\x89PNG\r\n\x1a\n"
CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
ORDER = {"rgb8": "RGB", "bgr8": "BGR", "rgba8": "RGBA", "bgra8": "BGRA", "mono8": "L"}


def pixels(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Return a random image of a size."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth(height: int = 48, width: int = 64) -> np.ndarray:
    """Return an RGB image that JPEG hardly changes."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 4, columns * 3, 255 - columns * 3], axis=2).astype(np.uint8)


def packed(image: np.ndarray, padding: int) -> bytes:
    """Return the rows of an image, each followed by padding bytes that must be ignored."""
    rows = image.reshape(image.shape[0], -1)
    return np.pad(rows, ((0, 0), (0, padding)), constant_values=0xA5).tobytes()


def encoded(image: np.ndarray, extension: str) -> bytes:
    """Return the file of an RGB (H, W, 3) or grey (H, W) image."""
    if image.ndim == 3:
        image = image[..., ::-1]
    ok, data = cv2.imencode(extension, image)
    assert ok
    return data.tobytes()


def png_part(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG with its checksum."""
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def jpeg_part(jpeg: bytes, marker: int) -> bytes:
    """Return the first part of a JPEG with a marker."""
    start = jpeg.index(bytes([0xFF, marker]))
    return jpeg[start : start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big")]


class TestDecodeRaw:
    """Uncompressed images."""

    @given(
        encoding=st.sampled_from(sorted(CHANNELS)),
        height=st.integers(1, 9),
        width=st.integers(1, 9),
        padding=st.integers(0, 5),
        is_bigendian=st.booleans(),
        seed=st.integers(0, 2**16),
    )
    def test_gives_the_pixels_that_the_sender_packed(
        self, encoding: str, height: int, width: int, padding: int, is_bigendian: bool, seed: int
    ) -> None:
        channels = CHANNELS[encoding]
        image = pixels(height, width, channels, seed)
        step = width * channels + padding
        decoded = decode_raw(encoding, height, width, step, is_bigendian, packed(image, padding))
        letters = ORDER[encoding]
        expected = [image[..., letters.index(c if c in letters else "L")] for c in "RGB"]
        assert decoded.dtype == np.uint8
        np.testing.assert_array_equal(decoded, np.stack(expected, axis=2))

    @given(
        encoding=st.sampled_from(sorted(CHANNELS)),
        padding=st.integers(0, 3),
        big=st.booleans(),
        seed=st.integers(0, 2**16),
    )
    def test_16_bit_samples_in_their_byte_order(
        self, encoding: str, padding: int, big: bool, seed: int
    ) -> None:
        image = pixels(4, 5, CHANNELS[encoding], seed)
        # Both bytes differ, and the value still rounds to the 8 bits.
        wide = np.minimum(image.astype(int) * 257 + 60, 65535).astype(">u2" if big else "<u2")
        data = packed(np.frombuffer(wide.tobytes(), np.uint8).reshape(4, -1), padding)
        step = 5 * CHANNELS[encoding] * 2 + padding
        decoded = decode_raw(encoding.replace("8", "16"), 4, 5, step, big, data)
        expected = decode_raw(encoding, 4, 5, 5 * CHANNELS[encoding], big, image.tobytes())
        np.testing.assert_array_equal(decoded, expected)

    @pytest.mark.parametrize("encoding", ["nv12", "rgb9"])
    def test_what_is_not_decoded_names_the_remedy(self, encoding: str) -> None:
        with pytest.raises(InputError, match="mono16; let the driver publish rgb8 or bgr8"):
            decode_raw(encoding, 2, 2, 3, False, bytes(6))

    @pytest.mark.parametrize("padding", [0, 4], ids=["dense", "padded"])
    def test_rgb8_is_not_copied(self, padding: int) -> None:
        image = pixels(5, 7)
        data = array.array("B", packed(image, padding))
        decoded = decode_raw("rgb8", 5, 7, 21 + padding, False, data)
        assert np.shares_memory(decoded, np.frombuffer(data, dtype=np.uint8))
        np.testing.assert_array_equal(decoded, image)

    @pytest.mark.parametrize(
        ("height", "width", "step", "size", "message"),
        [
            pytest.param(0, 4, 12, 0, "at least 1", id="no rows"),
            pytest.param(2, 0, 0, 0, "at least 1", id="no columns"),
            pytest.param(2, 4, 12, 23, "23 bytes of data", id="data too short"),
            pytest.param(2, 4, 12, 25, "25 bytes of data", id="data too long"),
            pytest.param(2, 4, 11, 22, "step is 11", id="step below a row"),
            pytest.param(2, 4, 0, 0, "step is 0", id="no step"),
            pytest.param(2**31, 2**31, 1, 8, "64 megapixels", id="absurd size"),
            pytest.param(1, MAX_SIDE + 1, 8, 8, "sides of 16384", id="too wide"),
            pytest.param(MAX_SIDE + 1, 1, 3, 8, "sides of 16384", id="too high"),
        ],
    )
    def test_refuses_sizes_that_do_not_fit(
        self, height: int, width: int, step: int, size: int, message: str
    ) -> None:
        with pytest.raises(InputError, match=message) as caught:
            decode_raw("bgr8", height, width, step, False, bytes(size))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "encoding", ["bayer_rggb8", "bayer_gbrg16", "yuv422", "yuv422_yuy2", "nv12", "16UC1"]
    )
    def test_names_a_known_encoding_as_one_for_another_library(self, encoding: str) -> None:
        with pytest.raises(UnsupportedEncodingError, match=encoding):
            decode_raw(encoding, 2, 2, 4, False, bytes(8))

    @pytest.mark.parametrize("encoding", ["", "rgb9", "RGB8", "mono8\n", "jpeg"])
    def test_lists_what_it_decodes_for_an_unknown_encoding(self, encoding: str) -> None:
        with pytest.raises(InputError, match="rgb8, bgr8, rgba8, bgra8, mono8") as caught:
            decode_raw(encoding, 2, 2, 6, False, bytes(12))
        assert not isinstance(caught.value, UnsupportedEncodingError)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "encoding",
        ["x" * 10**7, "8UC" + "1" * 10**7, "\x1b[2J"],
        ids=["unknown", "known", "escape"],
    )
    def test_shows_at_most_the_start_of_an_encoding(self, encoding: str) -> None:
        with pytest.raises(InputError) as caught:
            decode_raw(encoding, 2, 2, 6, False, bytes(12))
        assert len(str(caught.value)) < 300
        assert str(caught.value).isprintable()

    @given(
        encoding=st.sampled_from([*CHANNELS, "mono16", "nonsense"]),
        height=st.integers(0, 2**32 - 1) | st.integers(0, 4),
        width=st.integers(0, 2**32 - 1) | st.integers(0, 4),
        step=st.integers(0, 2**32 - 1) | st.integers(0, 16),
        data=st.binary(max_size=64),
    )
    def test_any_message_gives_an_image_of_its_size_or_an_input_error(
        self, encoding: str, height: int, width: int, step: int, data: bytes
    ) -> None:
        try:
            image = decode_raw(encoding, height, width, step, False, data)
        except InputError:
            return
        assert image.shape == (height, width, 3)


class TestDecodeCompressed:
    """JPEG and PNG."""

    @pytest.mark.parametrize("format", ["png", "PNG", "rgb8; png compressed bgr8", "mono8; png "])
    def test_png_is_exact(self, format: str) -> None:
        image = pixels(13, 7)
        np.testing.assert_array_equal(decode_compressed(format, encoded(image, ".png")), image)

    @pytest.mark.parametrize("format", ["jpeg", "jpg", "rgb8; jpeg compressed bgr8", "bgr8;jpeg"])
    def test_jpeg_keeps_the_colours_in_place(self, format: str) -> None:
        image = smooth()
        decoded = decode_compressed(format, array.array("B", encoded(image, ".jpg")))
        difference = np.abs(decoded.astype(int) - image)
        assert difference.mean() < 4

    @pytest.mark.parametrize("extension", [".png", ".jpg"])
    def test_grey_becomes_rgb(self, extension: str) -> None:
        grey = smooth()[..., 0]
        decoded = decode_compressed(extension[1:], encoded(grey, extension))
        assert decoded.shape == (*grey.shape, 3)
        assert np.abs(decoded.astype(int) - grey[..., None]).mean() < 4

    @pytest.mark.parametrize("channels", [1, 3, 4], ids=["grey", "colour", "transparent"])
    def test_16_bit_png_gives_its_upper_bytes(self, channels: int) -> None:
        image = pixels(6, 5, channels).astype(np.uint16) << 8
        ok, data = cv2.imencode(".png", image)
        assert ok
        decoded = decode_compressed("png", data.tobytes())
        upper = (image >> 8).astype(np.uint8)
        expected = np.repeat(upper, 3, axis=2) if channels == 1 else upper[..., 2::-1]
        np.testing.assert_array_equal(decoded, expected)

    def test_an_orientation_note_does_not_turn_the_image(self) -> None:
        image = smooth()
        # One Exif entry: orientation (0x0112), a short, 6 = turn by 90 degrees.
        entry = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
        exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + entry + bytes(4)
        jpeg = encoded(image, ".jpg")
        noted = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
        assert decode_compressed("jpeg", noted).shape == image.shape

    @pytest.mark.parametrize("extension", [".png", ".jpg"])
    @given(kept=st.floats(0, 1, exclude_max=True))
    def test_a_file_that_is_cut_off_is_refused(self, extension: str, kept: float) -> None:
        whole = encoded(smooth(), extension)
        with pytest.raises(InputError) as caught:
            decode_compressed(extension[1:], whole[: int(len(whole) * kept)])
        assert "\n" not in str(caught.value)

    @given(position=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
    def test_a_png_with_one_changed_byte_is_refused(self, position: float, change: int) -> None:
        damaged = bytearray(encoded(smooth(), ".png"))
        damaged[int(len(damaged) * position)] ^= change
        with pytest.raises(InputError):
            decode_compressed("png", damaged)

    def test_the_end_of_a_thumbnail_is_not_the_end_of_the_file(self) -> None:
        jpeg = encoded(smooth(), ".jpg")
        thumbnail = b"Exif\0\0" + encoded(smooth(8, 8), ".jpg")
        with_one = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
        assert decode_compressed("jpeg", with_one + jpeg[2:]).shape == (48, 64, 3)
        with pytest.raises(InputError, match="cut off"):
            decode_compressed("jpeg", (with_one + jpeg[2:])[:-40])

    @pytest.mark.parametrize("padding", [b"\0" * 9, b"\xff", b"\xff\xd9"], ids=repr)
    def test_a_camera_may_pad_its_jpegs(self, padding: bytes) -> None:
        data = encoded(smooth(), ".jpg")
        expected = decode_compressed("jpeg", data)
        np.testing.assert_array_equal(decode_compressed("jpeg", data + padding), expected)

    def test_a_png_whose_pixels_are_missing_is_refused(self) -> None:
        header = png_part(b"IHDR", struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 0))
        pixel_data = png_part(b"IDAT", zlib.compress(bytes(100)))
        end = png_part(b"IEND", b"")
        with pytest.raises(InputError, match="cannot be decoded"):
            decode_compressed("png", b"\x89PNG\r\n\x1a\n" + header + pixel_data + end)

    def test_a_decompression_bomb_is_refused_by_its_header(self) -> None:
        side = 50_000
        header = png_part(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        pixel_data = png_part(b"IDAT", zlib.compress(bytes(1000)))
        bomb = b"\x89PNG\r\n\x1a\n" + header + pixel_data + png_part(b"IEND", b"")
        assert side * side > MAX_PIXELS
        with pytest.raises(InputError, match="64 megapixels"):
            decode_compressed("png", bomb)

    def test_a_second_png_header_is_refused(self) -> None:
        parts = [
            png_part(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
            for side in (30_000, 8)
        ]
        pixel_data = png_part(b"IDAT", zlib.compress(bytes(8 * 25)))
        for order in (parts, parts[::-1]):
            data = PNG_START + order[0] + pixel_data + order[1] + png_part(b"IEND", b"")
            with pytest.raises(InputError, match="its one header"):
                decode_compressed("png", data)

    def test_a_png_header_of_another_length_is_refused(self) -> None:
        header = png_part(b"IHDR", struct.pack(">IIBBBBBB", 8, 8, 8, 2, 0, 0, 0, 0))
        with pytest.raises(InputError, match="its one header"):
            decode_compressed("png", PNG_START + header + png_part(b"IEND", b""))

    def test_a_second_jpeg_header_is_refused(self) -> None:
        jpeg = encoded(smooth(), ".jpg")
        header = jpeg_part(jpeg, 0xC0)
        large = header[:5] + struct.pack(">HH", 30_000, 30_000) + header[9:]
        for first, last in ((large, header), (header, large)):
            data = jpeg[:-2].replace(header, first) + last + jpeg[-2:]
            with pytest.raises(InputError, match="a second frame header"):
                decode_compressed("jpeg", data)

    @pytest.mark.parametrize("marker", [0x01, 0xD8], ids=hex)
    def test_nothing_hides_behind_a_marker_without_length(self, marker: int) -> None:
        # A decoder would read the large header that follows, a reader of lengths skip it.
        jpeg = encoded(smooth(), ".jpg")
        header = jpeg_part(jpeg, 0xC0)
        hidden = header[:5] + struct.pack(">HH", 30_000, 30_000) + header[9:]
        hidden += bytes(int.from_bytes(hidden[:2], "big") - len(hidden))
        data = jpeg[:2] + bytes([0xFF, marker]) + hidden + jpeg[2:]
        with pytest.raises(InputError, match="damaged at byte 2"):
            decode_compressed("jpeg", data)

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            pytest.param(lambda part: b"\xff\xc3" + part[2:], "lossless", id="lossless"),
            pytest.param(lambda part: b"\xff\xc9" + part[2:], "arithmetic", id="arithmetic"),
            pytest.param(lambda part: part[:9] + b"\4" + part[10:], "4 channels", id="CMYK"),
            pytest.param(lambda part: b"", "before its header", id="no header"),
        ],
    )
    def test_a_jpeg_that_no_camera_sends_is_refused(
        self, change: Callable[[bytes], bytes], problem: str
    ) -> None:
        jpeg = encoded(smooth(), ".jpg")
        header = jpeg_part(jpeg, 0xC0)
        with pytest.raises(InputError, match=problem):
            decode_compressed("jpeg", jpeg.replace(header, change(header)))

    def test_scans_are_counted(self) -> None:
        ok, data = cv2.imencode(".jpg", smooth(), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
        jpeg = data.tobytes()
        assert ok
        assert 1 < jpeg.count(b"\xff\xda") <= 12
        assert decode_compressed("jpeg", jpeg).shape == (48, 64, 3)
        scan = jpeg[jpeg.rindex(b"\xff\xda") : -2]
        with pytest.raises(InputError, match=f"more than {MAX_SCANS} scans"):
            decode_compressed("jpeg", jpeg[:-2] + scan * MAX_SCANS + jpeg[-2:])

    def test_parts_are_counted(self) -> None:
        png, jpeg = encoded(smooth(), ".png"), encoded(smooth(), ".jpg")
        for data in (
            png[:33] + png_part(b"tEXt", b"a\0b") * MAX_PARTS + png[33:],
            jpeg[:2] + b"\xff\xfe\0\2" * MAX_PARTS + jpeg[2:],
        ):
            with pytest.raises(InputError, match=f"more than {MAX_PARTS} parts"):
                decode_compressed("png" if data.startswith(PNG_START) else "jpeg", data)

    def test_the_decoder_gets_only_what_makes_the_picture(self) -> None:
        png, jpeg = encoded(smooth(), ".png"), encoded(smooth(), ".jpg")
        notes = [b"\xff" + bytes([kind]) + b"\0\6note" for kind in (0xE1, 0xE2, 0xEF, 0xFE)]
        with_notes = jpeg[:2] + b"".join(notes) + jpeg[2:]
        assert read_picture(memoryview(with_notes)).data == jpeg
        assert read_picture(memoryview(jpeg)).data == jpeg
        bomb = b"a\0\0" + zlib.compress(bytes(1 << 20))
        with_bomb = png[:33] + png_part(b"iCCP", bomb) + png_part(b"zTXt", bomb) + png[33:]
        assert read_picture(memoryview(with_bomb)).data == png

    def test_a_file_that_no_encoder_makes_so_large_is_refused(self) -> None:
        data = np.zeros(MAX_FILE_BYTES + 1, np.uint8)
        with pytest.raises(InputError, match="allowed are 256 MiB"):
            decode_compressed("jpeg", data)

    @pytest.mark.parametrize(
        "format",
        ["a " * 10**7, "jpeg;" * 10**6, "\x1b]0;x\x07"],
        ids=["words", "formats", "escape"],
    )
    def test_shows_at_most_the_start_of_a_format(self, format: str) -> None:
        with pytest.raises(InputError) as caught:
            decode_compressed(format, encoded(smooth(), ".png"))
        assert len(str(caught.value)) < 300
        assert str(caught.value).isprintable()

    @pytest.mark.parametrize(("format", "extension"), [("png", ".jpg"), ("jpeg", ".png")])
    def test_a_lying_format_is_refused(self, format: str, extension: str) -> None:
        with pytest.raises(InputError, match="but the data are a"):
            decode_compressed(format, encoded(smooth(), extension))

    @pytest.mark.parametrize(
        "format", ["", ";", "webp", "h264", "16UC1; compressedDepth png", "png; rvl"]
    )
    def test_names_the_formats_for_an_unknown_one(self, format: str) -> None:
        with pytest.raises(UnsupportedEncodingError, match="only jpeg and png"):
            decode_compressed(format, encoded(smooth(), ".png"))

    @given(start=st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n"]), rest=st.binary())
    def test_any_bytes_raise_nothing_but_an_input_error(self, start: bytes, rest: bytes) -> None:
        for format in ("jpeg", "png"):
            with pytest.raises(InputError):
                decode_compressed(format, start + rest)


@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_the_header_gives_the_size_without_decoding(height: int, width: int) -> None:
    for extension, kind in ((".png", "png"), (".jpg", "jpeg")):
        picture = read_picture(memoryview(encoded(pixels(height, width), extension)))
        assert (picture.kind, picture.height, picture.width) == (kind, height, width)
