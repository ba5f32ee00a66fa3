"""The study: its networks can be trained, and its tables say what the runs came to."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from study.__main__ import collect, main
from study.experiments import CLAIMS, EXPERIMENTS, FULL_RATE, Claim, experiment
from study.running import Place, configuration, fingerprint, held_out, is_done, run
from study.table import (
    claims_table,
    experiments_table,
    load_results,
    paired_differences,
    verdict,
)
from tdnet.variants import get_variant

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "study" / "results.json"
PAGE = ROOT / "docs" / "study.md"
TINY = (
    "optimisation.iterations=2",
    "optimisation.batch_size=2",
    "network.input_size=[33, 65]",
    "data.frame_size=[33, 65]",
    "data.train=street:0-1@45x80,frames=7",
    "data.validation=street:5-5@45x80,frames=7",
    "data.spacings=[1]",
    "validation.clips=1",
)


def test_each_experiment_is_a_recipe_whose_needs_come_before_it(tmp_path: Path) -> None:
    seen: set[str] = set()
    for entry in EXPERIMENTS:
        assert set(entry.needs) <= seen, entry.name
        seen.add(entry.name)
        if not entry.weights_of:
            config = configuration(Place(tmp_path, entry.name, 1))
            get_variant(config.network.variant)
            assert config.seed == 1
    assert {name for claim in CLAIMS for name in (claim.better, claim.worse)} <= seen


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("study")
    for name in (
        "start",
        "teacher",
        "grouped",
        "grouped, half rate",
        "memory 3",
        "memory 3, withheld",
    ):
        run(Place(root, name, 1), TINY, drives=1)
    return root


def test_runs_leave_their_numbers(study: Path) -> None:
    results = load_results(collect(study))
    assert [*results] == [
        "start",
        "teacher",
        "memory 3",
        "memory 3, withheld",
        "grouped",
        "grouped, half rate",
    ]
    for entry in results.values():
        assert 0 < entry[1]["pixel_accuracy"] < 1
        assert entry[1]["scored_frames"] == 12
    assert "| grouped | td4 as in the paper" in experiments_table(results)


def test_what_has_run_is_not_run_again(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = Place(study, "start", 1).result.stat().st_mtime_ns
    assert main(["--output", str(study), "--seeds", "1", "--only", "start", "grouped"]) == 0
    assert Place(study, "start", 1).result.stat().st_mtime_ns == before
    assert "| start |" in capsys.readouterr().out


def test_a_result_of_another_experiment_by_that_name_does_not_count(tmp_path: Path) -> None:
    place = Place(tmp_path, "start", 1)
    assert not is_done(place)
    place.folder.mkdir(parents=True)
    place.result.write_text(json.dumps({"fingerprint": fingerprint(experiment("start"))}))
    assert is_done(place)
    place.result.write_text(json.dumps({"fingerprint": fingerprint(experiment("single"))}))
    assert not is_done(place)


def test_both_frame_rates_are_judged_at_the_same_moments(tmp_path: Path) -> None:
    (full,) = held_out(tmp_path, drives=1).videos
    (half,) = held_out(tmp_path, FULL_RATE / 2, drives=1).videos
    assert len(full.labelled) == len(half.labelled) == 12
    for of_full, of_half in list(zip(full.labelled, half.labelled, strict=True))[::5]:
        assert np.array_equal(full.labels(of_full), half.labels(of_half))


def test_the_page_shows_the_committed_results() -> None:
    results = load_results(RESULTS)
    page = PAGE.read_text(encoding="utf-8")
    assert experiments_table(results) in page
    assert claims_table(results) in page


def test_the_committed_results_are_of_the_experiments_as_they_are() -> None:
    for name, runs in load_results(RESULTS).items():
        for entry in runs.values():
            assert entry["fingerprint"] == fingerprint(experiment(name))


def test_unknown_experiment_is_refused_with_the_known_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--output", str(tmp_path), "--only", "groupd"]) == 2
    assert "'grouped'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("differences", "within", "said"),
    [
        ([0.8, 0.9, 1.0], 0.0, "held"),
        ([0.1, 0.1, 1.0], 0.0, "open"),
        ([-0.8, -0.9, -1.0], 0.0, "did not hold"),
        ([-0.5, -0.4, -0.6], 0.01, "held"),
        ([5.0], 0.0, "open"),
    ],
    ids=["clearly", "by chance", "clearly not", "hardly less", "one run"],
)
def test_verdict(differences: list[float], within: float, said: str) -> None:
    assert verdict(Claim("", "a", "b", within), differences) == said


def test_claims_compare_runs_of_the_same_seed(tmp_path: Path) -> None:
    entries = [
        {"experiment": name, "seed": seed, "mean_iou": value}
        for name, values in {"memory 1": {1: 0.5, 2: 0.6}, "memory 0": {2: 0.58, 3: 0.1}}.items()
        for seed, value in values.items()
    ]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    results = load_results(path)
    claim = next(claim for claim in CLAIMS if claim.better == "memory 1")
    assert paired_differences(results, claim) == pytest.approx([2.0])
    assert "| memory 1 - memory 0 | +2.0 (+2.0) | open |" in claims_table(results)


def test_half_rate_is_seen_by_training_or_by_evaluation_only() -> None:
    assert experiment("half rate").rate == experiment("grouped, half rate").rate == 8.5
    assert experiment("grouped, half rate").weights_of == "grouped"
