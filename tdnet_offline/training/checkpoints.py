"""What a run keeps: weights that the node loads as they are, and the state to go on from."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tdnet.checkpoints.weights import save_weights
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet.network import SegmentationNetwork
from tdnet.version import __version__
from tdnet_offline.provenance import git_commit
from tdnet_offline.training.auxiliary import official_auxiliary_state
from tdnet_offline.training.configuration import TrainingConfig
from tdnet_offline.training.module import TrainingError, TrainingModule
from tdnet_offline.training.preparation import untied_network
from tdnet_offline.training.recipe import write_recipe
from tdnet_offline.writers.atomic_files import replacing

LAST = "last.safetensors"
BEST = "best.safetensors"
STATE = "last.state.pt"
RECIPE = "recipe.yaml"
FILES = (BEST, LAST, STATE, RECIPE)
"""What a run writes beside its log."""
_SHAPING = (
    *("network.variant", "network.class_map", "network.input_size", "network.shared_paths"),
    *("network.memory_frames", "loss.auxiliary", "optimisation.ema", "optimisation.optimizer"),
    "optimisation.freeze_backbone",
)
"""Keys that decide which numbers a state holds."""


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        iteration: optimiser steps done.
        mean_iou: of the last validation; None before the first.
        best_mean_iou: of the best validation.
        best_iteration: of it.
    """

    iteration: int = 0
    mean_iou: float | None = None
    best_mean_iou: float | None = None
    best_iteration: int | None = None


def save_network(
    path: Path,
    config: TrainingConfig,
    module: TrainingModule,
    class_map: ClassMap,
    progress: Progress,
) -> None:
    """Write the weights, with all in the header that says where they come from.

    Raises:
        TrainingError: they are not finite; the file that was there stays.
        WeightsError: the file cannot be written; the same.
    """
    network = untied_network(config.network, class_map.num_network_classes)
    network.load_state_dict(module.result.state_dict())
    _check_finite(
        network,
        f"iteration {progress.iteration}",
        "a lower optimisation.learning_rate or a gradient_clip may help",
    )
    if config.checkpoint.precision == "float16":
        _check_finite(
            network.half(),
            f"iteration {progress.iteration}, in float16",
            "resume with checkpoint.precision=float32",
        )
    metrics: dict[str, Any] = {"iteration": progress.iteration, "mean_iou": progress.mean_iou}
    save_weights(
        network,
        path,
        class_map=class_map,
        extra={
            "metrics": json.dumps(metrics),
            "recipe": write_recipe(config),
            "git_commit": git_commit(),
            "tdnet_version": __version__,
        },
        unused=_auxiliary_state(module),
    )


def _check_finite(network: SegmentationNetwork, when: str, remedy: str) -> None:
    for name, item in network.state_dict().items():
        if not bool(torch.isfinite(item).all()):
            raise TrainingError(
                f"{when}: {name} holds NaN or infinity; stopped, and the weights of the last "
                f"checkpoint are kept: {remedy}"
            )


def _auxiliary_state(module: TrainingModule) -> dict[str, Tensor]:
    if module.auxiliary is None:
        return {}
    # Shared paths have one head, which the file holds for each.
    state = official_auxiliary_state(module.auxiliary)
    return {name: item.clone() for name, item in state.items()}


def save_state(path: Path, module: TrainingModule, progress: Progress) -> None:
    """Write all that a later process needs to go on exactly.

    Raises:
        OSError: the file cannot be written; the one that was there stays.
    """
    optimizer = module.optimizers(use_pl_optimizer=False)
    if isinstance(optimizer, list):
        raise TypeError("one optimiser was expected")
    state = {
        "progress": vars(progress),
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "precision": module.trainer.precision_plugin.state_dict(),
        "sums": module.sums,
        "summed": module.summed,
    }
    with replacing(path) as temporary, temporary.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:
            # PyTorch complains of the file that it could not finish; the cause is what helps.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load_state(path: Path) -> Mapping[str, Any]:
    """Read what `save_state` wrote; no code of it is executed.

    Raises:
        InputError: the file is damaged or something else.
    """
    try:
        # PyTorch writes a checksum of each part, but does not compare it.
        with zipfile.ZipFile(path) as archive:
            part = archive.testzip()
        if part is not None:
            raise ValueError(f"damaged: {part} has not the checksum that it was written with")
        state = torch.load(path, map_location="cpu", weights_only=True)
        Progress(**state["progress"])
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{path}: no state of a training run ({reason}); take it away to begin anew"
        ) from error
    return dict(state)


def remove_partial(folder: Path) -> None:
    """Remove the files that a killed process of this run left half-written."""
    for path in folder.glob(".*.partial*"):
        if path.is_file():
            path.unlink()


def restore(
    module: TrainingModule, state: Mapping[str, Any], path: Path, changed: Sequence[str] = ()
) -> None:
    """Put network, auxiliary heads and moving average back, and check that the optimiser fits.

    Args:
        module: as the recipe has it now.
        state: of `load_state`.
        path: of it.
        changed: keys of the recipe that were others when it was written.

    Raises:
        InputError: the state is of another network or optimiser.
    """
    try:
        module.load_state_dict(state["module"])
        fits = _layout(module.configure_optimizers().state_dict()) == _layout(state["optimizer"])
    except RuntimeError:
        fits = False
    if not fits:
        keys = [key for key in changed if key in _SHAPING]
        raise InputError(
            f"{path}: is of another network or optimiser than {module.network.variant.name} with "
            f"{module.network.num_classes} classes and these options"
            + (f" (changed: {', '.join(keys)})" if keys else "")
            + "; go on with the recipe that it was written by, or give another output"
        )
    module.sums, module.summed = dict(state["sums"]), int(state["summed"])


def _layout(optimizer: Mapping[str, Any]) -> list[tuple[bool, int]]:
    """What two optimisers must have in common to exchange what they have gathered."""
    # Adam's groups have betas, those of SGD a momentum.
    return [("betas" in group, len(group["params"])) for group in optimizer["param_groups"]]
