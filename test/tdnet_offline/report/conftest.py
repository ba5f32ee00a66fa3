"""An evaluation that several reports show."""

from __future__ import annotations

import pytest
from support.reports import measured

from tdnet_offline.evaluation.result import Evaluation


@pytest.fixture(scope="session")
def street() -> Evaluation:
    return measured()
