"""The study: its networks can be trained, and its page shows what the runs measured."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tdnet_offline.datasets import open_dataset
from tdnet_offline.training.learner import chosen_variant
from tools.study import study_run
from tools.study.__main__ import SEEDS, collect, main
from tools.study.experiments import CLAIMS, DAMAGES, EXPERIMENTS, STRIPE, Experiment, experiment
from tools.study.results import (
    StudyResult,
    claims_table,
    experiments_table,
    load_results,
    paired_differences,
    verdict,
)
from tools.study.study_run import UNSCORED, StudyRun, fingerprint, held_out

ROOT = Path(__file__).parents[1]
RESULTS = sorted((ROOT / "docs/results").glob("*/study.json"))
PAGE = ROOT / "docs" / "study.md"
TRAINED = [entry for entry in EXPERIMENTS if not entry.weights_of]
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
TINY_STUDY = (
    "teacher",
    "memory",
    "memory withheld",
    "memory foreign",
    "distilled",
    "evit memory",
    "evit memory withheld",
)
TINY_DRIVES = "street:1000000-1000001@45x80,frames=6"


def _name(entry: Experiment) -> str:
    return entry.name


@pytest.mark.parametrize("entry", TRAINED, ids=_name)
def test_experiment_is_a_recipe(entry: Experiment, tmp_path: Path) -> None:
    config = StudyRun(tmp_path, entry, 3).configuration()
    assert config.seed == 3
    assert config.optimisation.freeze_backbone == (entry.name != "teacher")


def test_experiments_need_only_such_that_need_none() -> None:
    for entry in EXPERIMENTS:
        assert not any(experiment(name).needs for name in entry.needs), entry.name


def test_claims_compare_experiments() -> None:
    for claim in CLAIMS:
        assert experiment(claim.better) != experiment(claim.worse)
        assert set(claim.damages) <= set(DAMAGES)


@pytest.mark.parametrize("name", ["paths", "memory", "content only", "distilled"])
def test_each_independent_path_has_the_labels_of_the_single_frame_network(
    name: str, tmp_path: Path
) -> None:
    assert _labels_per_path(name, tmp_path) == _labels_per_path("single", tmp_path)


def test_shared_paths_have_the_labels_of_one_path_or_of_four(tmp_path: Path) -> None:
    of_one = _labels_per_path("memory", tmp_path)
    assert 4 * _labels_per_path("shared", tmp_path) == of_one
    assert 4 * _labels_per_path("shared x4", tmp_path) == 4 * of_one
    for name in ("single x4", "evit single x4"):
        assert _labels_per_path(name, tmp_path) == 4 * of_one
    for name in ("evit memory", "evit content only"):
        assert _labels_per_path(name, tmp_path) == of_one


def start_weights(result: StudyResult) -> Path:
    return StudyRun(ROOT, experiment(result.experiment), result.seed).start_weights


def _labels_per_path(name: str, root: Path) -> float:
    config = StudyRun(root, experiment(name), 1).configuration()
    choice = config.optimisation
    return choice.iterations * choice.batch_size / chosen_variant(config.network).paths


def test_teacher_of_one_seed_teaches_all(tmp_path: Path) -> None:
    teacher = StudyRun(tmp_path, experiment("teacher"), SEEDS[0])
    for seed in SEEDS:
        config = StudyRun(tmp_path, experiment("distilled"), seed).configuration()
        assert Path(config.loss.teacher) == teacher.weights


def test_held_out_drives_are_not_trained_on(tmp_path: Path) -> None:
    data = StudyRun(tmp_path, experiment("memory"), 1).configuration().data
    seen = {
        video.name
        for source in (data.train, data.validation)
        for video in open_dataset(source).videos
    }
    assert seen.isdisjoint(video.name for video in held_out(tmp_path).videos)


def test_frames_are_scored_with_a_full_memory(tmp_path: Path) -> None:
    config = StudyRun(tmp_path, experiment("memory"), 1).configuration()
    assert chosen_variant(config.network).memory_capacity == UNSCORED
    for video in held_out(tmp_path).videos:
        assert min(video.labelled) == UNSCORED


@pytest.fixture(scope="module")
def tiny_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study of tiny networks on tiny drives."""
    root = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study_run, "HELD_OUT", TINY_DRIVES)
        for name in TINY_STUDY:
            StudyRun(root, experiment(name), 1).run(TINY)
    return root


@pytest.fixture
def study(tiny_study: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As `tiny_study`; the names of its folders depend on the drives."""
    monkeypatch.setattr(study_run, "HELD_OUT", TINY_DRIVES)
    return tiny_study


def test_runs_leave_their_numbers(study: Path) -> None:
    results = collect(study)
    assert [result.experiment for result in results] == list(TINY_STUDY)
    for result in results:
        assert set(result.mean_iou) == set(DAMAGES)
        assert 0 < result.consistency < 1
        assert result.scored_frames == 2 * (6 - UNSCORED)
    assert results == load_results(study / "results.json")


def test_past_is_withheld_or_replaced(study: Path) -> None:
    own, withheld, foreign = (
        result.mean_iou for result in collect(study) if result.experiment.startswith("memory")
    )
    assert own != withheld
    assert own != foreign


def test_complete_runs_are_not_run_again(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = StudyRun(study, experiment("memory"), 1).result
    before = result.stat().st_mtime_ns
    assert main(["--output", str(study), "--seeds", "1", "--only", "memory", "distilled"]) == 0
    assert result.stat().st_mtime_ns == before
    assert "| distilled |" in capsys.readouterr().out


def test_changed_experiment_has_another_folder(tmp_path: Path) -> None:
    entry = experiment("distilled")
    folder = StudyRun(tmp_path, entry, 1).folder
    changed = replace(entry, overrides=("loss.distillation=full",))
    assert StudyRun(tmp_path, changed, 1).folder != folder


def test_run_without_the_network_that_it_needs_fails(tmp_path: Path) -> None:
    """In a process of its own, as `make study`: its pool must find the function."""
    words = [sys.executable, "-m", "tools.study", "--output", str(tmp_path), "--seeds", "1"]
    done = subprocess.run([*words, "--only", "memory withheld"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "memory withheld, seed 1" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_experiment_is_refused_with_the_known_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--output", str(tmp_path), "--only", "distiled"]) == 2
    assert "'distilled'" in capsys.readouterr().err


def test_page_shows_the_committed_results() -> None:
    results = [result for path in RESULTS for result in load_results(path)]
    page = PAGE.read_text(encoding="utf-8")
    assert experiments_table(results) in page
    assert claims_table(results) in page


def test_committed_results_are_of_the_experiments_as_they_are() -> None:
    files = [load_results(path) for path in RESULTS]
    results = [result for found in files for result in found]
    assert {run.experiment for run in results} == {entry.name for entry in EXPERIMENTS}
    assert len({(run.experiment, run.seed) for run in results}) == len(results)
    for found in files:
        starts = {(start_weights(run), run.start_weights) for run in found}
        assert len(starts) == len({path for path, _ in starts})
    for run in results:
        assert run.fingerprint == fingerprint(experiment(run.experiment)), run.experiment


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([0.8, 0.9, 1.0], "holds"),
        ([0.1, 0.1, 1.0], "open"),
        ([-0.8, -0.9, -1.0], "does not hold"),
        ([5.0], "open"),
    ],
    ids=["clearly", "by chance", "clearly not", "one run"],
)
def test_verdict(differences: list[float], expected: str) -> None:
    assert verdict(differences) == expected


def test_claims_compare_runs_of_the_same_seed() -> None:
    results = [
        StudyResult(name, seed, dict.fromkeys(DAMAGES, value), consistency=0.9, scored_frames=9)
        for name, values in {"distilled": {1: 0.5, 2: 0.6}, "memory": {2: 0.58, 3: 0.1}}.items()
        for seed, value in values.items()
    ]
    claim = next(claim for claim in CLAIMS if claim.better == "distilled")
    assert paired_differences(results, claim, STRIPE) == pytest.approx([2.0])
    row = f"| distilled - memory | {STRIPE} | +2.0 (+2.0) | open |"
    assert row in claims_table(results)
