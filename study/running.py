"""Runs one experiment with one seed: trains its network, evaluates it, keeps the numbers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.experiments import FULL_RATE, Experiment, experiment
from tdnet.class_map import ClassMap
from tdnet.network import SegmentationNetwork, create_model
from tdnet.streaming import StreamingSegmenter
from tdnet.weights import load_weights
from tdnet_offline.datasets import open_dataset
from tdnet_offline.datasets.street import StreetVideo
from tdnet_offline.datasets.video import Dataset
from tdnet_offline.evaluation.evaluating import evaluate
from tdnet_offline.evaluation.metrics import (
    agreement,
    by_class,
    class_iou,
    mean_boundary_f,
    mean_iou,
    pixel_accuracy,
    total_confusion,
)
from tdnet_offline.provenance import git_commit, hardware, versions
from tdnet_offline.training.configuration import TrainingConfig
from tdnet_offline.training.preparation import untied_network
from tdnet_offline.training.recipe import load_recipe
from tdnet_offline.training.runner import run_training
from tdnet_offline.writers.atomic_files import replacing

RECIPE = Path(__file__).with_name("recipe.yaml")
HELD_OUT = "street:1000000-1000023@180x320"
"""Drives that no network has seen."""
SETTLED = 3
"""Frames at the start of a drive, at half the rate, that do not count: td4's memory fills."""
FRAMES = 15
"""Of each drive at half the frame rate; every second of the full rate shows the same moment."""


@dataclass(frozen=True)
class Place:
    """Where an experiment's files are.

    Attributes:
        root: folder of the study.
        experiment: name of the experiment.
        seed: of the run.
    """

    root: Path
    experiment: str
    seed: int

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        name = self.experiment.replace(", ", "-").replace(" ", "-")
        return self.root / name / f"seed-{self.seed}"

    @property
    def weights(self) -> Path:
        """Weights after the last iteration."""
        return self.folder / "last.safetensors"

    @property
    def result(self) -> Path:
        """The numbers of the run."""
        return self.folder / "result.json"


def configuration(place: Place, extra: tuple[str, ...] = ()) -> TrainingConfig:
    """Put together what the run's training is told.

    Args:
        place: of the run.
        extra: changes on top, as for `tdnet train`.

    Raises:
        TdnetError: no such experiment, or something in it that cannot be.
    """
    chosen = experiment(place.experiment)
    words = [
        *(word.replace("CACHE", str(place.root / "street")) for word in _sources()),
        *chosen.overrides,
        f"seed={place.seed}",
        f"output={place.folder}",
        "resume=true",
    ]
    if chosen.starts_from:
        is_single = "network.variant=psp18-nano" in chosen.overrides
        start = Place(place.root, chosen.starts_from, place.seed).weights
        words.append(f"init.{'weights' if is_single else 'single'}={start}")
        # What is learnt from the start is as good as what the single-frame networks go on from.
        words.append(f"init.pass_through={'false' if is_single else 'true'}")
    if chosen.taught_by:
        words.append(f"loss.teacher={Place(place.root, chosen.taught_by, place.seed).weights}")
    return load_recipe(str(RECIPE), [*words, *extra])


def fingerprint(chosen: Experiment) -> str:
    """Sum up what a result depends on: the recipe, the experiment, and those that it needs."""
    digest = hashlib.sha256(RECIPE.read_bytes())
    digest.update(f"{chosen} {HELD_OUT} {FRAMES} {SETTLED}".encode())
    for name in chosen.needs:
        digest.update(fingerprint(experiment(name)).encode())
    return digest.hexdigest()[:16]


def is_done(place: Place) -> bool:
    """Say whether a run's numbers are there, and of the experiment as it is now."""
    if not place.result.exists():
        return False
    found = json.loads(place.result.read_text(encoding="utf-8"))
    return bool(found.get("fingerprint") == fingerprint(experiment(place.experiment)))


def _sources() -> list[str]:
    data = load_recipe(str(RECIPE)).data
    return [f"data.train={data.train}", f"data.validation={data.validation}"]


def run(place: Place, extra: tuple[str, ...] = (), drives: int | None = None) -> dict[str, Any]:
    """Train and evaluate; a run that was interrupted goes on.

    Args:
        place: of the run.
        extra: changes of the training, as for `tdnet train`.
        drives: held-out drives to evaluate on; None: all.

    Returns:
        What is in the result file.

    Raises:
        TdnetError: a network that it needs is not there, or training cannot go on.
    """
    chosen = experiment(place.experiment)
    trained = place
    if chosen.weights_of:
        trained = Place(place.root, chosen.weights_of, place.seed)
        config = configuration(trained, extra)
    else:
        config = configuration(place, extra)
        run_training(config)
    result = _evaluate(config, chosen, trained, drives) | {
        "experiment": chosen.name,
        "seed": place.seed,
        "fingerprint": fingerprint(chosen),
        "hardware": hardware(),
        "versions": versions(),
        "git_commit": git_commit(),
    }
    place.folder.mkdir(parents=True, exist_ok=True)
    with replacing(place.result) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def _evaluate(
    config: TrainingConfig, chosen: Experiment, trained: Place, drives: int | None
) -> dict[str, Any]:
    dataset = held_out(trained.root / "street", chosen.rate, drives)
    network = untied_network(config.network, dataset.class_map.num_network_classes)
    load_weights(network, trained.weights)
    if chosen.withheld:
        network = _without_memory(network)
    network.memory_stride = network.variant.memory_stride
    segmenter = StreamingSegmenter(network, class_map=dataset.class_map, precision="float32")
    found = evaluate(dataset, segmenter, weights=str(trained.weights), worst=0)
    confusion = total_confusion(found)
    return {
        "mean_iou": round(mean_iou(confusion), 4),
        "pixel_accuracy": round(pixel_accuracy(confusion), 4),
        "boundary_f": round(mean_boundary_f(found.boundary), 4),
        "consistency": round(agreement(found.consistency), 4),
        "truth_consistency": (
            None
            if found.truth_consistency is None
            else round(agreement(found.truth_consistency), 4)
        ),
        "class_iou": {
            name: None if value != value else round(value, 4)
            for name, value in by_class(found, class_iou(confusion)).items()
        },
        "scored_frames": dataset.num_labelled,
    }


def _without_memory(network: SegmentationNetwork) -> SegmentationNetwork:
    bare = create_model(network.variant.limited_memory(0), network.num_classes, network.input_size)
    given = network.state_dict()
    bare.load_state_dict({name: given[name] for name in bare.state_dict()})
    return bare


def held_out(cache: Path, rate: float = FULL_RATE, drives: int | None = None) -> Dataset:
    """Open the held-out drives; the labelled frames show the same moments at either rate.

    Args:
        cache: folder for rendered frames.
        rate: frames a second, the full one or half of it.
        drives: how many; None: all.
    """
    step = round(2 * rate / FULL_RATE)
    frames = step * (FRAMES - 1) + 1
    whole = open_dataset(f"{HELD_OUT},frames={frames},rate={rate:g},cache={cache}")
    videos = whole.videos[:drives]
    for video in videos:
        if isinstance(video, StreetVideo):
            video.labelled = range(step * SETTLED, frames, step)
    return Dataset(whole.name, whole.root, whole.split, ClassMap.load("cityscapes"), videos)
