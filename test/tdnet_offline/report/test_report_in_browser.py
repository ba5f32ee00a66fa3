"""The report in a real browser: it draws, complains of nothing, asks for nothing, and fits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support import browser

from tdnet import SegmenterSettings
from tdnet_offline.datasets import open_dataset
from tdnet_offline.evaluation.result import Evaluation
from tdnet_offline.evaluation.runner import evaluate
from tdnet_offline.report.evaluation_page import write_report

pytestmark = browser.NEEDED

PHONE, DESKTOP = 390, 1280


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    dataset = open_dataset("street:1000123@90x160,frames=6", "val")
    segmenter = SegmenterSettings(device="cpu", runtime="torch").build()
    return evaluate(dataset, segmenter, worst=1)


@pytest.fixture(scope="module", params=[1, 3], ids=["single", "compared"])
def report(
    request: pytest.FixtureRequest,
    evaluation: Evaluation,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    return write_report(tmp_path_factory.mktemp("report"), [evaluation] * request.param)


@pytest.fixture(scope="module")
def tab() -> Iterator[browser.Browser]:
    with browser.Browser() as tab:
        yield tab


@pytest.mark.parametrize(
    ("width", "dark"), [(PHONE, True), (DESKTOP, False)], ids=["phone, dark", "desktop, light"]
)
def test_page_draws_and_fits(tab: browser.Browser, report: Path, width: int, dark: bool) -> None:
    tab.complaints.clear()
    tab.requests.clear()
    tab.show(report, width, dark=dark)
    assert tab.complaints == []
    assert set(tab.requests) == {report.resolve().as_uri()}
    assert tab.value("innerWidth") == width
    assert tab.value("document.documentElement.scrollWidth") <= width
    figures = tab.value("document.querySelectorAll('.figure').length")
    assert figures >= 4
    assert tab.value("document.querySelectorAll('.figure .main-svg .cartesianlayer').length") > 0
    drawn = "[...document.querySelectorAll('.figure')].every(f => f.data && f.clientHeight > 90)"
    assert tab.value(drawn)
    ground = tab.value("getComputedStyle(document.body).backgroundColor")
    assert (max(int(shade) for shade in re.findall(r"\d+", ground)) < 60) is dark


def test_measures_are_chosen_on_a_phone(tab: browser.Browser, report: Path) -> None:
    tab.show(report, PHONE)
    shown = (
        "[...document.querySelectorAll('.chosen thead th')]"
        ".filter(e => e.offsetParent).map(e => e.textContent)"
    )
    assert tab.value(shown)[1:] == ["IoU"]
    tab.value("document.querySelector('.choice input[value=\"3\"]').click()")
    assert tab.value(shown)[1:] == ["consistency"]


def test_names_do_not_become_markup(
    tab: browser.Browser, evaluation: Evaluation, tmp_path: Path
) -> None:

    hostile = "<img src=x onerror=document.title='owned'>"
    setting = replace(
        evaluation.setting,
        source=hostile,
        class_names={i: f"{n} {hostile}" for i, n in evaluation.setting.class_names.items()},
    )
    frames = tuple(replace(record, name=hostile) for record in evaluation.frames)
    path = write_report(tmp_path, [replace(evaluation, setting=setting, frames=frames)])
    tab.complaints.clear()
    tab.show(path, PHONE)
    assert tab.complaints == []
    assert "onerror" in tab.value("document.title")
    assert tab.value("document.querySelectorAll('img[src=x]').length") == 0
    assert tab.value("document.documentElement.scrollWidth") <= PHONE
    ticks = tab.value("[...document.querySelectorAll('.ytick text')].map(e => e.textContent)")
    assert "road <img src=x o…" in ticks
