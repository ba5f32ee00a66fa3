"""`tdnet train`: a network learns labelled videos, as a recipe says."""

from __future__ import annotations

import argparse

from tdnet.errors import InputError
from tdnet_offline.arguments import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "train",
        help="train a network as a recipe says",
        description=(
            "Trains a network. Its recipe is a packaged one or a YAML file; each KEY=VALUE "
            "changes a key of it: data.train=cityscapes:FOLDER optimisation.batch_size=4. "
            "resume=true goes on where the run in the same output stopped. Several GPUs or "
            "machines: torchrun ... -m tdnet_offline.command train ..."
        ),
    )
    parser.add_argument("recipe", metavar="RECIPE", help="its name, or a YAML file")
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="changes of the recipe")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command.

    Raises:
        TdnetError: recipe, data or weights cannot be used, or training cannot go on.
        OSError: a checkpoint cannot be written.
    """
    from tdnet_offline.training.recipe import load_recipe

    # Before what takes seconds to import, so that a mistake shows at once.
    config = load_recipe(args.recipe, args.overrides)
    try:
        from tdnet_offline.training.runner import run_training
    except ModuleNotFoundError as error:
        remedy = 'pip install "tdnet_ros[offline,train]"'
        raise InputError(f"training needs the Python package {error.name}: {remedy}") from error

    summary = run_training(config)
    progress = summary.progress
    score = "not validated"
    if progress.mean_iou is not None:
        score = f"mean IoU {progress.mean_iou:.4f}"
    best = ""
    if progress.best_mean_iou is not None:
        best = f"; {summary.best}: {progress.best_mean_iou:.4f} after {progress.best_iteration}"
    print(f"{summary.weights}: {progress.iteration} iterations, {score}{best}")
    return 0
