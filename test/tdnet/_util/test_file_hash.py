from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tdnet._util.file_hash import sha256


def test_hash_of_a_file(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(data)
    assert sha256(tmp_path / "file") == hashlib.sha256(data).hexdigest()
    with pytest.raises(FileNotFoundError):
        sha256(tmp_path / "none")
