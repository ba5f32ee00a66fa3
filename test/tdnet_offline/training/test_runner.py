"""A run leaves weights that everything else loads, with all that is known about them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.media import drive
from support.training import SINGLE, little_config, little_recipe, logged

from tdnet import SegmenterSettings, create_model, describe_weights, load_weights
from tdnet.checkpoints.checkpoint import Checkpoint
from tdnet.errors import InputError
from tdnet.network import TDNet
from tdnet.segmenter import StreamingSegmenter
from tdnet.version import __version__
from tdnet_offline.command import main
from tdnet_offline.datasets import open_dataset
from tdnet_offline.evaluation.metrics import mean_iou
from tdnet_offline.provenance import git_commit
from tdnet_offline.training.recipe import load_recipe
from tdnet_offline.training.runner import TrainingSummary, run_training

SIZE = (33, 65)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As many threads as the processes get: others add up in another order, and batch
    normalisation over the two values of a 1 x 1 pyramid cell makes much of what that rounds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def learnt(little: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingSummary:
    """A run that is long enough to learn something."""
    keys = {
        "optimisation__optimizer": "adamw",
        "optimisation__iterations": 40,
        "optimisation__batch_size": 4,
        "optimisation__learning_rate": 5e-3,
        "optimisation__gradient_clip": 5.0,
        "loss__cross_entropy": "balanced",
        "augmentation__rotation": 2,
        "augmentation__scales": [0.9, 1, 1.2],
        "augmentation__flip": False,
        "precision": "bfloat16",
        "validation__every": 20,
        "validation__clips": 0,
    }
    return run_training(little_config(tmp_path_factory.mktemp("learnt"), little, **keys))


def test_it_learns(learnt: TrainingSummary) -> None:
    losses = logged(learnt.folder)
    assert len(losses) == 40
    first, last = (sum(losses[i] for i in range(a, a + 5)) / 5 for a in (1, 36))
    assert last < 0.75 * first
    assert learnt.progress.best_mean_iou is not None
    assert learnt.progress.best_mean_iou > 0.3
    validated = logged(learnt.folder, "validation/mean_iou")
    assert set(validated) == {20, 40}
    assert max(validated.values()) == pytest.approx(learnt.progress.best_mean_iou)
    rates = logged(learnt.folder, "learning_rate")
    assert rates[1] == pytest.approx(1e-5)
    assert rates[3] == pytest.approx(5e-3)
    assert rates[40] == pytest.approx(5e-3 * (1 - 37 / 38) ** 0.9)


def test_the_weights_say_where_they_come_from(learnt: TrainingSummary, tmp_path: Path) -> None:
    info = describe_weights(learnt.best)
    assert (info.variant, info.num_classes, info.input_size) == ("td4-psp18-nano", 3, SIZE)
    assert info.class_map is not None
    assert [entry.name for entry in info.class_map.classes] == ["road", "tree", "sky"]
    assert info.metadata is not None
    metrics = json.loads(info.metadata["metrics"])
    assert metrics["iteration"] == learnt.progress.best_iteration
    assert metrics["mean_iou"] == pytest.approx(learnt.progress.best_mean_iou)
    assert info.metadata["git_commit"] == git_commit()
    assert info.metadata["tdnet_version"] == __version__
    recipe = tmp_path / "stored.yaml"
    recipe.write_text(info.metadata["recipe"], encoding="utf-8")
    assert load_recipe(str(recipe)) == load_recipe(str(learnt.folder / "recipe.yaml"))
    assert all(name.startswith("auxlayer") for name in info.ignored)


def test_the_weights_segment_as_they_are(learnt: TrainingSummary) -> None:
    segmenter = SegmenterSettings(weights=str(learnt.weights), runtime="torch").build()
    for image in drive(5):
        labels = segmenter.step(image).labels
        assert labels.shape == image.shape[:2]
        assert int(labels.max()) < 3


def test_the_validated_score_is_that_of_streaming(learnt: TrainingSummary, little: Path) -> None:
    """Each clip through the segmenter of the node; the paths take turns from clip to clip."""
    network = create_model("td4-psp18-nano", 3, SIZE)
    load_weights(network, learnt.weights)
    clips = open_dataset(f"folder:{little}")
    items = [(video, index) for video in clips.videos for index in range(3, video.num_frames)]
    counts = torch.zeros(3, 3, dtype=torch.int64)
    for number, (video, last) in enumerate(items):
        path = number % 4
        segmenter = StreamingSegmenter(network)
        for _ in range((path + 1) % 4):
            segmenter.step(video.frame(0).image)
        # Those before only bring the turn to the right path; three frames push them out.
        for index in range(last - 3, last + 1):
            result = segmenter.step(video.frame(index).image)
        assert result.path == path
        true = torch.from_numpy(video.labels(last).astype("int64"))
        given = torch.from_numpy(result.labels.astype("int64"))
        known = true != 255
        counts += torch.bincount(true[known] * 3 + given[known], minlength=9).reshape(3, 3)
    # Labels at the size of the frames there, at that of the network here; bfloat16 too.
    assert learnt.progress.mean_iou == pytest.approx(mean_iou(counts.numpy()), abs=0.05)


def test_float16_weights_are_half_as_large(little: Path, tmp_path: Path) -> None:
    keys = {"optimisation__iterations": 1, "loss__auxiliary": 0}
    sizes = []
    for precision in ("float32", "float16"):
        output = str(tmp_path / precision)
        config = little_config(
            tmp_path, little, output=output, checkpoint__precision=precision, **keys
        )
        sizes.append(run_training(config).weights.stat().st_size)
    assert sizes[1] < 0.55 * sizes[0]
    dtypes = {
        item.dtype
        for item in Checkpoint.open(tmp_path / "float16/last.safetensors").tensors.values()
    }
    assert dtypes == {torch.float16, torch.int64}


def test_shared_paths_are_saved_as_a_common_network(little: Path, tmp_path: Path) -> None:
    config = little_config(
        tmp_path, little, network__shared_paths=True, optimisation__iterations=2
    )
    weights = run_training(config).weights
    assert describe_weights(weights).variant == "td4-psp18-nano"
    network = create_model("td4-psp18-nano", 3, SIZE)
    load_weights(network, weights)
    assert isinstance(network, TDNet)
    first, last = (network.paths[index].head.classifier.weight for index in (0, 3))
    assert torch.equal(first, last)


def test_frozen_backbones_stay_as_they_began(
    learnt: TrainingSummary, little: Path, tmp_path: Path
) -> None:
    """Weights and statistics, also after a validation and in a resumed run."""
    keys = {"optimisation__freeze_backbone": True, "validation__every": 1}
    with pytest.raises(InputError, match=r"freeze_backbone would keep random numbers: give init"):
        run_training(little_config(tmp_path, little, **keys))
    keys |= {"init__weights": str(learnt.best), "optimisation__iterations": 2}
    run_training(little_config(tmp_path, little, **keys))
    keys |= {"resume": True, "optimisation__iterations": 4}
    summary = run_training(little_config(tmp_path, little, **keys))
    began, ended = (Checkpoint.open(path).tensors for path in (learnt.best, summary.weights))
    moved = {name for name, item in began.items() if not torch.equal(item, ended[name])}
    frozen = {name for name in began if ".backbone." in name}
    assert frozen
    assert not moved & frozen
    assert {name for name in began if ".head.classifier." in name} <= moved
    keys |= {"optimisation__freeze_backbone": False, "optimisation__iterations": 5}
    with pytest.raises(InputError, match=r"changed: optimisation.freeze_backbone"):
        run_training(little_config(tmp_path, little, **keys))


@pytest.mark.parametrize(
    "keys",
    [
        {"network__variant": "psp18-nano", "loss__auxiliary": 0.4},
        {"network__memory_frames": 0},
        {"network__memory_frames": 1},
        {"optimisation__ema": 0.5},
    ],
    ids=str,
)
def test_other_networks_train_too(little: Path, tmp_path: Path, keys: dict[str, object]) -> None:
    config = little_config(tmp_path, little, optimisation__iterations=2, **keys)
    summary = run_training(config)
    assert summary.progress.iteration == 2
    variant = str(keys.get("network__variant", "td4-psp18-nano"))
    assert describe_weights(summary.weights).variant == variant
    chosen = SegmenterSettings(variant=variant, weights=str(summary.weights), runtime="torch")
    segmenter = chosen.build()
    for image in drive(4):
        used = segmenter.step(image).memory_frames
    most = 0 if variant == "psp18-nano" else 3
    assert used == keys.get("network__memory_frames", most)


@pytest.mark.parametrize("distillation", ["full", "grouped"])
def test_a_teacher_teaches(little: Path, tmp_path: Path, distillation: str) -> None:
    single = little_config(
        tmp_path,
        little,
        output=str(tmp_path / "single"),
        network__variant="psp18-nano",
        optimisation__iterations=1,
    )
    keys = {"loss__distillation": distillation, "optimisation__iterations": 2}
    teacher = run_training(single).weights
    before = teacher.read_bytes()
    config = little_config(
        tmp_path, little, init__single=str(teacher), loss__teacher=str(teacher), **keys
    )
    folder = run_training(config).folder
    values = logged(folder, "loss/distillation")
    assert all(value > 0 for value in values.values())
    assert teacher.read_bytes() == before
    total, full, sub, auxiliary = (
        logged(folder, f"loss/{name}")[1] for name in ("total", "full", "sub", "auxiliary")
    )
    assert total == pytest.approx(full + 0.5 * sub + 0.1 * auxiliary + values[1], rel=1e-5)


TWO_TRAININGS = """
import sys
from tdnet_offline.command import main
for recipe in sys.argv[1:]:
    assert main(["train", recipe]) == 0
"""


@pytest.fixture(scope="module")
def trained_by_two(
    little: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[bool, dict[str, object]], Path, str]:
    """Two trainings by two processes: keys by whether paths are shared, folder, and log."""
    folder = tmp_path_factory.mktemp("two")
    keys = {
        "optimisation__batch_size": 4,
        "optimisation__iterations": 3,
        "optimisation__warm_up": 0,
        "optimisation__learning_rate": 1e-3,
    }
    both = {shared: {"network__shared_paths": shared, **keys} for shared in (False, True)}
    recipes = [
        little_recipe(folder / f"{shared}.yaml", little, output=str(folder / str(shared)), **own)
        for shared, own in both.items()
    ]
    (folder / "trainings.py").write_text(TWO_TRAININGS)
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    answer = subprocess.run(
        [sys.executable, *launcher, str(folder / "trainings.py"), *map(str, recipes)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert answer.returncode == 0, answer.stderr
    return both, folder, answer.stderr


@pytest.mark.parametrize("shared", [False, True], ids=["paths", "shared-paths"])
def test_two_processes_train_as_one_does_in_two_parts(
    little: Path,
    tmp_path: Path,
    one_thread: None,
    trained_by_two: tuple[dict[bool, dict[str, object]], Path, str],
    shared: bool,
) -> None:
    both, folder, log = trained_by_two
    parts = little_config(tmp_path, little, optimisation__accumulate=2, **both[shared])
    run_training(parts)
    by_two, by_one = folder / str(shared), tmp_path / "run"
    two, one = logged(by_two), logged(by_one)
    assert set(two) == {1, 2, 3}
    for iteration in two:
        assert two[iteration] == pytest.approx(one[iteration], rel=1e-4)
    ours, theirs = (Checkpoint.open(run / "last.safetensors").tensors for run in (by_two, by_one))
    for name in theirs:
        # On the CPU each process has batch statistics of its own.
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-3, atol=1e-4)
    assert "batch norm" not in log
    assert log.count("iteration 3 of 3") == 2  # one for each training


def test_a_training_process_prints_its_log_only_and_opens_no_connection(
    little: Path, tmp_path: Path
) -> None:
    """Python reports every socket that is opened and every name that is looked up."""
    script = (
        "import sys\n"
        "def hook(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'urllib.Request'):\n"
        "        print('CONNECTED', event, args, file=sys.stderr)\n"
        "sys.addaudithook(hook)\n"
        "from tdnet_offline.command import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    recipe = little_recipe(tmp_path / "recipe.yaml", little, log_every=2)
    answer = subprocess.run(
        [sys.executable, "-W", "default", "-c", script, "train", str(recipe)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert answer.returncode == 0
    lines = answer.stderr.splitlines()
    assert len(lines) == 4, answer.stderr
    assert lines[0].startswith("validates on training data: 12 of the 12 labelled frames")
    assert lines[1].startswith("iteration 2 of 4: full ")
    assert lines[3].startswith("iteration 4: mean IoU ")
    assert answer.stdout.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"recipe.yaml", "run"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        *("recipe.yaml", "tensorboard", "last.state.pt", "last.safetensors", "best.safetensors")
    }


def test_the_command_says_what_came_of_it(
    little: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = little_recipe(tmp_path / "recipe.yaml", little, **SINGLE)
    assert main(["train", str(recipe), "optimisation.iterations=1"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(
        f"{tmp_path / 'run' / 'last.safetensors'}: 1 iterations, mean IoU 0."
    )


def test_a_moving_average_moves_slower(little: Path, tmp_path: Path) -> None:
    """Its weights after two steps are the mean that the decay says of those after each step."""
    keys = {"optimisation__warm_up": 0, "loss__auxiliary": 0, "network__variant": "psp18-nano"}
    name = "head.classifier.weight"
    after = {}
    for decay, steps in ((0.0, 1), (0.0, 2), (0.75, 2)):
        output = str(tmp_path / f"{decay}-{steps}")
        config = little_config(
            tmp_path, little, output=output, optimisation__ema=decay, optimisation__power=0,
            optimisation__iterations=steps, **keys,
        )  # fmt: skip
        after[decay, steps] = Checkpoint.open(run_training(config).weights).tensors[name]
    expected = 0.75 * after[0.0, 1] + 0.25 * after[0.0, 2]
    torch.testing.assert_close(after[0.75, 2], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_gpu_trains_and_resumes(little: Path, tmp_path: Path, precision: str) -> None:
    keys = {"device": "cuda", "precision": precision, "optimisation__ema": 0.5}
    run_training(little_config(tmp_path, little, optimisation__iterations=2, **keys))
    config = little_config(tmp_path, little, resume=True, optimisation__iterations=4, **keys)
    summary = run_training(config)
    assert summary.progress.iteration == 4
    assert len(logged(summary.folder)) == 4
    load_weights(create_model("td4-psp18-nano", 3, SIZE), summary.weights)
