"""The tensors of a file that `torch.save` wrote, read without PyTorch's unpickler.

`torch.load` builds what a file asks for, with ``weights_only`` too: a byte array of any size, a
mapping a thousand times over, and in versions before 2.6 whatever a tar archive names
(CVE-2025-32434). Here only numbers are read, where and how many the file's own size allows.
"""

from __future__ import annotations

import io
import zipfile
from contextlib import closing
from pathlib import Path

from torch import Tensor

from tdnet.errors import WeightsError
from tdnet.pickled_data import read_pickle
from tdnet.pickled_tensors import Storage, state_tensors, storage_of

# Of the pickle with the names and shapes; those of our networks take 0.2 MB.
MAX_PICKLE_BYTES = 4 << 20
# Of a zip archive's table of contents, for which Python takes ten times the memory.
MAX_CONTENTS_BYTES = 4 << 20

_PIECE = 1 << 20
_LEGACY_START = [0x1950A86A20F9469CFC6C, 1001]


def read_pytorch(path: Path) -> dict[str, Tensor]:
    """Read the state dict of a checkpoint, alone or under ``model_state`` or the like.

    Args:
        path: of a file that may be read as a whole.

    Returns:
        Tensors on the CPU by name; none where the file holds an object instead of a state dict.

    Raises:
        WeightsError: the file is damaged, not of `torch.save`, or holds a tensor without plain
            numbers.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if start == b"PK\x03\x04":
            return _read_archive(path)
        if start[:1] == b"\x80":
            return _read_legacy(path)
    except WeightsError:
        raise
    # The readers pass on whatever they meet in damaged bytes.
    except Exception as error:
        raise WeightsError(
            f"{path}: damaged, truncated or no checkpoint "
            f"({type(error).__name__}: {error}); copy it again"
        ) from error
    raise WeightsError(f"{path}: damaged or no checkpoint: neither safetensors nor torch.save")


def _read_archive(path: Path) -> dict[str, Tensor]:
    """Read what PyTorch writes since 1.6: a zip archive of a pickle and the storages' bytes."""
    with closing(_SmallReads(path)) as file, zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("its entries are compressed, which torch.save never does")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise ValueError("its entries overlap")
        pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
        if len(pickles) != 1 or pickles[0].file_size > MAX_PICKLE_BYTES:
            raise ValueError(f"it needs one data.pkl of at most {MAX_PICKLE_BYTES} bytes")
        folder = pickles[0].filename.removesuffix("data.pkl")
        order = f"{folder}byteorder"
        if order in archive.namelist() and _content(archive, order) != b"little":
            raise ValueError("written by a machine with another byte order")

        def numbers(storage: Storage) -> bytearray:
            return _content(archive, f"{folder}data/{storage.key}")

        content, _ = read_pickle(io.BytesIO(_content(archive, pickles[0].filename)))
        return state_tensors(path, content, numbers)


class _SmallReads(io.FileIO):
    """A file of which only pieces are read, so that no archive can have an endless contents."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_CONTENTS_BYTES:
            raise ValueError(f"its contents take {size} bytes; allowed are {MAX_CONTENTS_BYTES}")
        return super().read(size) or b""


def _content(archive: zipfile.ZipFile, name: str) -> bytearray:
    content = bytearray()
    with archive.open(name) as entry:
        while piece := entry.read(_PIECE):
            content += piece
    return content


def _read_legacy(path: Path) -> dict[str, Tensor]:
    """Read what PyTorch wrote before 1.6: five pickles, then each storage's length and bytes."""
    with path.open("rb") as file:
        head = io.BytesIO(file.read(MAX_PICKLE_BYTES))
        if [read_pickle(head).content for _ in range(2)] != _LEGACY_START:
            raise ValueError("a pickle that torch.save did not write")
        system = read_pickle(head).content
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise ValueError("written by a machine with another byte order")
        content, references = read_pickle(head)
        storages = {storage.key: storage for storage in map(storage_of, references)}
        keys = read_pickle(head).content
        starts: dict[str, int] = {}
        position, end = head.tell(), path.stat().st_size
        for key in keys:
            file.seek(position)
            length = int.from_bytes(file.read(8), "little")
            starts[key] = position + 8
            position += 8 + storages[key].num_bytes
            if length != storages[key].length or position > end:
                raise ValueError("the file ends too early")

        def numbers(storage: Storage) -> bytearray:
            file.seek(starts[storage.key])
            return bytearray(file.read(storage.num_bytes))

        return state_tensors(path, content, numbers)
