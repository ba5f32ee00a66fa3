"""How weights move: learning rate by iteration, weight decay groups, the optimiser."""

from __future__ import annotations

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.optimizer import ParamsT

from tdnet.errors import UnknownNameError

OPTIMISERS = ("sgd", "adamw")
_DECAYED = (nn.modules.conv._ConvNd, nn.Linear)


def learning_rate(
    iteration: int,
    *,
    iterations: int = 40_000,
    warm_up: int = 1_000,
    peak: float = 1e-2,
    start: float = 1e-5,
    power: float = 0.9,
) -> float:
    """Return the learning rate of an iteration: geometric warm-up, then polynomial decay.

    start (peak / start)^(iteration / warm_up) up to `warm_up`; after that
    peak (1 - (iteration - warm_up) / (iterations - warm_up))^power (specification, "Training").

    Args:
        iteration: counted from 0; from `iterations` on the rate is 0.
        iterations: the length of the training.
        warm_up: iterations to the peak; 0: none.
        peak: the largest rate, at iteration `warm_up`.
        start: the rate of iteration 0, if there is a warm-up.
        power: of the decay.
    """
    if iteration <= warm_up and warm_up > 0:
        return start * (peak / start) ** (iteration / warm_up)
    left = (iterations - iteration) / max(1, iterations - warm_up)
    return peak * max(0.0, left) ** power


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Divide parameters into those with and those without weight decay, for an optimiser.

    Weights of convolutions and linear layers decay; biases and the weights of norms do not.
    Parameters that several modules share appear once; frozen ones are left out.

    Args:
        module: all that is trained, auxiliary heads included.
        weight_decay: of the first group; the second has 0.
    """
    decayed: dict[int, nn.Parameter] = {}
    others: dict[int, nn.Parameter] = {}
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            if parameter.requires_grad:
                chosen = decayed if isinstance(part, _DECAYED) and name == "weight" else others
                chosen[id(parameter)] = parameter
    return [
        {"params": list(decayed.values()), "weight_decay": weight_decay},
        {"params": list(others.values()), "weight_decay": 0.0},
    ]


def create_optimiser(
    name: str, groups: ParamsT, *, rate: float = 1e-2, momentum: float = 0.9
) -> Optimizer:
    """Create the optimiser of that name.

    Args:
        name: ``"sgd"``, as published, or ``"adamw"``.
        groups: of :func:`parameter_groups`.
        rate: learning rate until the schedule sets it.
        momentum: of SGD; AdamW takes it as the first beta.

    Raises:
        UnknownNameError: no optimiser has that name.
    """
    if name == "sgd":
        return SGD(groups, lr=rate, momentum=momentum)
    if name == "adamw":
        return AdamW(groups, lr=rate, betas=(momentum, 0.999))
    raise UnknownNameError("optimiser", name, OPTIMISERS)
