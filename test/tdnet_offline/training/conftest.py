from __future__ import annotations

from pathlib import Path

import pytest
from support.training import write_little

for package in ("lightning", "kornia", "tensorboard"):
    pytest.importorskip(package, reason="needs the extra `train`: use `make test`")


@pytest.fixture(scope="session")
def little(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small labelled data set; not to be changed."""
    return write_little(tmp_path_factory.mktemp("little"))
