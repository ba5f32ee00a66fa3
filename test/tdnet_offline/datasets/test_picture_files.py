"""Label pictures: every kind of PNG that labelling tools write, and what is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdnet import ClassMap
from tdnet.errors import InputError
from tdnet_offline.datasets.picture_files import (
    check_ids,
    decode_labels,
    ids_of_colours,
    read_label_picture,
)

GREY, PALETTE = 0, 3


def png(values: npt.NDArray[np.uint8], depth: int, colour_type: int) -> bytes:
    """A PNG written from its specification, one sample a pixel."""
    bits = ((values[..., None] >> np.arange(depth)[::-1]) & 1).reshape(len(values), -1)
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in bits)
    header = struct.pack(">IIBBBBB", values.shape[1], len(values), depth, colour_type, 0, 0, 0)
    palette = bytes((7 * i) % 256 for i in range(3 * 2**depth))
    parts = [(b"IHDR", header), (b"PLTE", palette)] if colour_type else [(b"IHDR", header)]
    parts += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


@given(st.data())
@pytest.mark.parametrize("colour_type", [GREY, PALETTE])
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_ids_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, depth: int, colour_type: int, data: st.DataObject
) -> None:
    height, width = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 9))
    row = st.lists(st.integers(0, 2**depth - 1), min_size=width, max_size=width)
    values = np.array(data.draw(st.lists(row, min_size=height, max_size=height)), np.uint8)
    path = tmp_path_factory.mktemp("png") / "labels.png"
    path.write_bytes(png(values, depth, colour_type))
    np.testing.assert_array_equal(read_label_picture(path), values)


@pytest.mark.parametrize("channels", [3, 4])
def test_coloured_labels_are_rgb(tmp_path: Path, channels: int) -> None:
    bgra = np.arange(2 * 3 * channels, dtype=np.uint8).reshape(2, 3, channels)
    cv2.imwrite(str(tmp_path / "labels.png"), bgra)
    np.testing.assert_array_equal(read_label_picture(tmp_path / "labels.png"), bgra[..., 2::-1])


def test_what_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.png"
    with pytest.raises(InputError, match=r"labels\.png: does not exist"):
        read_label_picture(path)
    whole = png(np.zeros((4, 4), np.uint8), 8, GREY)
    jpeg = cv2.imencode(".jpg", np.zeros((4, 4), np.uint8))[1].tobytes()
    deep = cv2.imencode(".png", np.zeros((4, 4), np.uint16))[1].tobytes()
    problems = {
        b"": r"is empty",
        whole[:-20]: r"the PNG is cut off",
        jpeg: r"labels must be a PNG; JPEG changes them",
        deep: r"labels of 16 bits; save them with 8",
        b"labels": r"neither a JPEG nor a PNG",
    }
    for content, problem in problems.items():
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"labels\.png: {problem}"):
            read_label_picture(path)


@given(st.data())
def test_damage_is_refused_or_gives_a_picture(data: st.DataObject) -> None:
    depth, colour_type = data.draw(st.sampled_from([1, 8])), data.draw(st.sampled_from([0, 3]))
    content = bytearray(png(np.ones((3, 5), np.uint8), depth, colour_type))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
    # With checksums put right, the damage goes on to the decoder.
    position = 8
    while position + 12 <= len(content):
        (length,) = struct.unpack(">I", content[position : position + 4])
        end = position + 8 + length
        if end + 4 > len(content):
            break
        content[end : end + 4] = struct.pack(">I", zlib.crc32(content[position + 4 : end]))
        position = end + 4
    try:
        picture = decode_labels(bytes(content))
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert picture.dtype == np.uint8
        assert picture.ndim in (2, 3)


def test_ids_must_be_in_the_class_map_or_255() -> None:
    class_map = ClassMap.load("cityscapes")
    ids = np.array([[0, 18], [255, 3]], np.uint8)
    np.testing.assert_array_equal(check_ids(ids, class_map), ids)
    strange = np.array([[19, 19], [200, 3]], np.uint8)
    with pytest.raises(
        InputError, match=r"3 pixels have ids .* cityscapes does not know: 19, 200"
    ):
        check_ids(strange, class_map)


def test_colours_become_ids() -> None:
    ids = {(0, 0, 255): 4, (255, 0, 0): 1, (1, 2, 3): 7}
    picture = np.array([[(255, 0, 0), (1, 2, 3)], [(0, 0, 255), (255, 0, 0)]], np.uint8)
    assert ids_of_colours(picture, ids, "the table").tolist() == [[1, 7], [4, 1]]
    picture[0, 0] = (9, 8, 7)
    with pytest.raises(InputError, match=r"1 pixels have colours that the table .*\[9, 8, 7\]"):
        ids_of_colours(picture, ids, "the table", tolerated=0.24)
    assert ids_of_colours(picture, ids, "the table", tolerated=0.25)[0, 0] == 255
