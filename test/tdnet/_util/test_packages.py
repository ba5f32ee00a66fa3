"""A missing or too old package is one line with what to install."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from tdnet._util.packages import require
from tdnet.errors import MissingPackageError


def installed(monkeypatch: pytest.MonkeyPatch, version: str) -> ModuleType:
    module = ModuleType("segmenting")
    module.__dict__["__version__"] = version
    monkeypatch.setitem(sys.modules, "segmenting", module)
    return module


@pytest.mark.parametrize("version", ["2.6", "2.6.0a0+git12", "2.13.1+cpu", "10.0"])
def test_a_version_that_will_do_is_given(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    module = installed(monkeypatch, version)
    assert require("segmenting", "--format x", least="2.6") is module


@pytest.mark.parametrize("version", ["2.5.1+cu124", "2.5", "1.13", "unknown"])
def test_an_older_one_is_refused(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    installed(monkeypatch, version)
    with pytest.raises(MissingPackageError) as caught:
        require("segmenting", "--format x", least="2.6")
    assert str(caught.value) == (
        f"--format x needs the Python package segmenting 2.6 or later (found {version}): "
        'pip install "segmenting>=2.6"'
    )
    assert require("segmenting", "--format x")


def test_a_missing_one_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segmenting", None)
    with pytest.raises(MissingPackageError, match="segmenting: pip install segmenting$"):
        require("segmenting", "--format x")
    with pytest.raises(MissingPackageError, match="segmenting: ask the maker$"):
        require("segmenting", "--format x", install="ask the maker")
