"""`tdnet train`: train a network by a recipe."""

from __future__ import annotations

import argparse

from tdnet.errors import InputError
from tdnet_offline.commands import ExitStatus

_DESCRIPTION = """\
Train a network. A recipe is a packaged one or a YAML file; each KEY=VALUE changes a key of it:
  tdnet train td4-psp18-cityscapes data.train=cityscapes:FOLDER optimisation.batch_size=4
resume=true continues the run in the same output folder. Several GPUs or machines:
  torchrun ... -m tdnet_offline.command train RECIPE"""
_EPILOG = """\
Your own classes, from a module in the working directory or an installed package, in the recipe:
  callbacks:
    - class_path: lightning.pytorch.callbacks.EarlyStopping
      init_args: {monitor: validation/mean_iou, mode: max, patience: 5}
    - my_training.PrintScore                            # a lightning.pytorch.Callback
  loggers:
    - tensorboard
    - class_path: lightning.pytorch.loggers.WandbLogger # or any other Lightning logger
      init_args: {project: streets}
  loss:
    cross_entropy: my_training.DiceLoss                 # a torch.nn.Module: logits, labels -> loss
  data:
    train: my_data.open_arrays:FOLDER                   # a function that returns a Dataset
docs/training.md has each of these classes in full, and all keys."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add description and options."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("recipe", metavar="RECIPE", help="name of a packaged recipe, or YAML file")
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="changes of the recipe")


def run(args: argparse.Namespace) -> ExitStatus:
    """Run the command."""
    from tdnet_offline.training.recipe import load_recipe

    # Before the slow imports, so that a mistake shows at once.
    recipe = load_recipe(args.recipe, args.overrides)
    try:
        from tdnet_offline.training.runner import run_training
    except ModuleNotFoundError as error:
        remedy = 'pip install "tdnet_ros[offline,train]"'
        raise InputError(f"training needs the Python package {error.name}: {remedy}") from error

    summary = run_training(recipe)
    progress = summary.progress
    score = "not validated"
    if progress.mean_iou is not None:
        score = f"mean IoU {progress.mean_iou:.4f}"
    best = ""
    if progress.best_mean_iou is not None:
        best = f"; {summary.best}: {progress.best_mean_iou:.4f} after {progress.best_iteration}"
    print(f"{summary.weights}: {progress.iteration} iterations, {score}{best}")
    return ExitStatus.DONE
