"""One experiment with one seed: train its network, evaluate it, save the results."""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from tdnet.checkpoints.weights import load_weights
from tdnet.errors import TdnetError, one_line
from tdnet.segmenter import StreamingSegmenter
from tdnet_offline.damage import Damage
from tdnet_offline.datasets import open_dataset
from tdnet_offline.datasets.video import Dataset
from tdnet_offline.evaluation.metrics import agreement, mean_iou, total_confusion
from tdnet_offline.evaluation.runner import evaluate
from tdnet_offline.provenance import origin
from tdnet_offline.training.configuration import TrainingRecipe
from tdnet_offline.training.learner import untied_network
from tdnet_offline.training.recipe import load_recipe
from tools.study.experiments import CLEAN, DAMAGES, START_WEIGHTS, Experiment, experiment
from tools.study.results import StudyResult, save_results

FIRST_SEED = 1
RECIPE = Path(__file__).with_name("recipe.yaml")
HELD_OUT = "street:1000000-1000011@180x320,frames=12"
"""Drives that no network is trained on."""
_SOURCES = ("train", "validation")
UNSCORED = 3
"""Frames at the start of a drive that are not scored: the memory is not full yet."""


@dataclass(frozen=True)
class StudyRun:
    """An experiment with one seed, and its files in the folder of the study."""

    root: Path
    experiment: Experiment
    seed: int

    @property
    def folder(self) -> Path:
        """Folder of the run; changes with the experiment and its first weights."""
        name = self.experiment.name.replace(" ", "-")
        group = f"{name}-{fingerprint(self.experiment)}-{self.start_digest[:8]}"
        return self.root / group / f"seed-{self.seed}"

    @property
    def weights(self) -> Path:
        """Weights after the last iteration."""
        return self.folder / "last.safetensors"

    @property
    def result(self) -> Path:
        """Results of the run; the file exists if the run is complete."""
        return self.folder / "result.json"

    def of(self, name: str) -> StudyRun:
        """Return the run of another experiment that this run uses."""
        other = experiment(name)
        return StudyRun(self.root, other, FIRST_SEED if other.one_seed else self.seed)

    @property
    def start_weights(self) -> Path:
        """Weights of the single-frame network that training starts from."""
        trained = self.of(self.experiment.weights_of or self.experiment.name).experiment
        variant = load_recipe(str(RECIPE), trained.overrides).network.variant
        return next(path for name, path in START_WEIGHTS.items() if variant.endswith(name))

    @property
    def start_digest(self) -> str:
        """SHA-256 of `start_weights`."""
        return hashlib.sha256(self.start_weights.read_bytes()).hexdigest()

    def configuration(self, extra: tuple[str, ...] = ()) -> TrainingRecipe:
        """Return the configuration of the training, changed by `extra` as for `tdnet train`."""
        data = load_recipe(str(RECIPE)).data
        cache = str(self.root / "street")
        words = [
            *(f"data.{key}={getattr(data, key)}".replace("CACHE", cache) for key in _SOURCES),
            *self.experiment.overrides,
            *(f"seed={self.seed}", f"output={self.folder}", "resume=true"),
        ]
        start = self.start_weights
        if f"network.variant={start.stem}" in self.experiment.overrides:
            words.append(f"init.weights={start}")
        else:
            words += [f"init.single={start}", "init.pass_through=true"]
        if self.experiment.taught_by:
            words.append(f"loss.teacher={self.of(self.experiment.taught_by).weights}")
        return load_recipe(str(RECIPE), [*words, *extra])

    def run(self, extra: tuple[str, ...] = ()) -> None:
        """Train and evaluate, unless the result exists; continue an interrupted training.

        Args:
            extra: changes of the training, as for `tdnet train`.

        Raises:
            TdnetError: a required network does not exist, or training failed.
        """
        if self.result.exists():
            return
        trained = self.of(self.experiment.weights_of) if self.experiment.weights_of else self
        config = trained.configuration(extra)
        if trained is self:
            # Here, since Lightning takes seconds to import, and the study's first process trains
            # nothing.
            from tdnet_offline.training.runner import run_training

            run_training(config)
        self.folder.mkdir(parents=True, exist_ok=True)
        save_results(self.result, [self._evaluated(config, trained.weights)])

    def _evaluated(self, config: TrainingRecipe, weights: Path) -> StudyResult:
        dataset = held_out(self.root / "street")
        network = untied_network(config.network, dataset.class_map.num_network_classes)
        load_weights(network, weights)
        network.memory_stride = network.variant.memory_stride
        segmenter = StreamingSegmenter(network, class_map=dataset.class_map, precision="float32")
        evaluations = {
            damage: evaluate(
                dataset,
                segmenter,
                memory=self.experiment.memory,
                damage=Damage.parse(damage),
                seed=self.seed,
                weights=str(weights),
                worst=0,
                consistency=damage == CLEAN,
            )
            for damage in DAMAGES
        }
        return StudyResult(
            experiment=self.experiment.name,
            seed=self.seed,
            mean_iou={
                damage: round(mean_iou(total_confusion(found)), 4)
                for damage, found in evaluations.items()
            },
            consistency=round(agreement(evaluations[CLEAN].consistency), 4),
            scored_frames=dataset.num_labelled,
            fingerprint=fingerprint(self.experiment),
            start_weights=self.start_digest,
            **origin(),
        )


def fingerprint(chosen: Experiment) -> str:
    """Return a digest of recipe, experiment, evaluation, and the experiments that it needs."""
    digest = hashlib.sha256(RECIPE.read_bytes())
    digest.update(f"{chosen} {HELD_OUT} {UNSCORED} {DAMAGES}".encode())
    for name in chosen.needs:
        digest.update(fingerprint(experiment(name)).encode())
    return digest.hexdigest()[:16]


def held_out(cache: Path) -> Dataset:
    """Open the held-out drives; only frames with a full memory are labelled."""
    dataset = open_dataset(f"{HELD_OUT},cache={cache}")
    for video in dataset.videos:
        video.labelled = range(UNSCORED, video.num_frames)
    return dataset


def run_one(run: StudyRun) -> bool:
    """Run in a process of its own, with a log; return whether it is complete.

    A process that is spawned cannot find functions of a ``__main__.py``.
    """
    name = f"{run.experiment.name}, seed {run.seed}"
    print(f"study: {name}", flush=True)
    run.folder.mkdir(parents=True, exist_ok=True)
    try:
        with (
            (run.folder / "log.txt").open("a", encoding="utf-8") as log,
            redirect_stdout(log),
            redirect_stderr(log),
        ):
            run.run()
    except KeyboardInterrupt:
        os._exit(130)  # breaks the pool, so that no queued run starts
    except TdnetError as error:
        print(f"study: {name}: {one_line(str(error))}", file=sys.stderr, flush=True)
        return False
    return True
