"""Learning rate by iteration, weight decay groups, and the optimiser."""

from __future__ import annotations

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from tdnet_offline.training.configuration import OptimisationConfig

_DECAYED = (nn.modules.conv._ConvNd, nn.Linear)


def learning_rate(iteration: int, config: OptimisationConfig) -> float:
    """Return the learning rate of an iteration, from 0: geometric warm-up, polynomial decay to 0.

    start (peak / start)^(iteration / warm_up) up to `warm_up`; after that
    peak (1 - (iteration - warm_up) / (iterations - warm_up))^power (specification, "Training").
    """
    peak, start, warm_up = config.learning_rate, config.warm_up_start, config.warm_up
    if iteration <= warm_up and warm_up > 0:
        return start * (peak / start) ** (iteration / warm_up)
    left = (config.iterations - iteration) / max(1, config.iterations - warm_up)
    return peak * max(0.0, left) ** config.power


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Divide parameters into a group with and a group without weight decay, for an optimiser.

    Weights of convolutions and linear layers decay; biases and the weights of norms do not.
    Parameters that several modules share appear once; frozen parameters are left out.
    """
    # Dictionaries keep the order, in which the states of resumed runs are stored.
    decayed: dict[nn.Parameter, None] = {}
    others: dict[nn.Parameter, None] = {}
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            if parameter.requires_grad:
                chosen = decayed if isinstance(part, _DECAYED) and name == "weight" else others
                chosen[parameter] = None
    return [
        {"params": list(decayed), "weight_decay": weight_decay},
        {"params": list(others), "weight_decay": 0.0},
    ]


def create_optimiser(module: nn.Module, config: OptimisationConfig) -> Optimizer:
    """Create the optimiser of all trained parameters of a module.

    Its learning rate is 1: the schedule multiplies it by `learning_rate`.
    """
    groups = parameter_groups(module, config.weight_decay)
    if config.optimizer == "sgd":
        return SGD(groups, lr=1.0, momentum=config.momentum)
    return AdamW(groups, lr=1.0, betas=(config.momentum, 0.999))
