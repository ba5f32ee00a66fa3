"""Initialisation by which paths segment almost like a single-frame network before any training.

Values are initialised to the features, and heads are fitted to the spatial norm, for which they
were not trained. The remaining difference is the mean of each value over a frame.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tdnet.network import SingleFrameNetwork
from tdnet.network.extractor import Pyramid
from tdnet.network.layers import BINS, PyramidPooling
from tdnet.network.tdnet import Path

_RIDGE = 1e-3
"""Regularisation of the fit, relative to the variance of a value after the spatial norm."""


def kept_channels(pyramid: Pyramid) -> list[int]:
    """Return the channels of the whole pyramid that the pyramid of a path keeps, in its order.

    The whole pyramid returns x, then the four pooled maps; a group is a slice of each
    (specification, "Pyramid pooling"). Other families have no groups and keep all channels.
    """
    if not isinstance(pyramid, PyramidPooling):
        return list(range(pyramid.out_channels))
    channels = pyramid.in_channels
    pooled = channels // len(BINS)
    numbers = list(range(channels))[pyramid.kept]
    for first in range(channels, 2 * channels, pooled):
        numbers += list(range(first, first + pooled))[pyramid.kept_pooled]
    return numbers


@torch.no_grad()
def pass_features_through(path: Path, single: SingleFrameNetwork) -> Tensor:
    """Set the values of a path to its features, and add those of the past to them.

    If values have fewer channels than features, they are the combinations of features that
    matter most to the head of `single`, by a singular value decomposition of its 3x3
    convolution. Attention propagates values unchanged; without a gate, with a weight of 1 / M for
    each of M memory frames.

    Args:
        path: with the backbone and pyramid of `single`; both are in evaluation mode.
        single: the network to imitate.

    Returns:
        (O, D, k, k), the first convolution of the head of `single`, for values.
    """
    weight = single.head.conv.conv.weight[:, kept_channels(path.pyramid)]
    own = path.encoding.value.weight[:, :, 0, 0]
    if own.shape[0] == own.shape[1]:
        projection, rest = torch.eye(len(own)), weight
    else:
        projection, rest = _split(weight, own)
    path.encoding.value.weight.copy_(projection[:, :, None, None])
    for step in path.propagation.steps:
        share = 1.0 if step.gate is not None else 1 / len(path.propagation.steps)
        step.projection.weight.copy_(torch.eye(len(own)) * share)
    return rest


def _split(weight: Tensor, random: Tensor) -> tuple[Tensor, Tensor]:
    """Split a convolution (O, C, k, k) into a value projection and a convolution of values.

    Together (D, C) and (O, D, k, k) are the given convolution, or the nearest one of rank D. Rows
    of the `random` projection (D, C) that the convolution does not need are kept.
    """
    columns = weight.permute(0, 2, 3, 1).flatten(0, 2)
    left, sizes, right = torch.linalg.svd(columns, full_matrices=False)
    kept = min(len(random), int((sizes > 1e-5 * sizes[0]).sum()))
    projection, rest = random.clone(), torch.zeros(len(columns), len(random))
    projection[:kept] = right[:kept]
    rest[:, :kept] = left[:, :kept] * sizes[:kept]
    return projection, rest.reshape(len(weight), *weight.shape[2:], -1).permute(0, 3, 1, 2)


@torch.no_grad()
def fit_head(path: Path, single: SingleFrameNetwork, frames: Tensor) -> None:
    """Fit the 3x3 convolution of a path's head to the spatial norm and to its pyramid group.

    The result is nearest, by least squares over frames (B, 3, H, W), to the convolution of
    `single` on all features. The constant term goes into the running mean of the head's norm.
    """
    gram, projected = torch.zeros(()), torch.zeros(())
    for features, whole in _features(path, single, frames):
        values = path.norm(path.encoding.value(features))
        inputs = nn.functional.unfold(values, 3, padding=1)[0]
        inputs = torch.cat([inputs, torch.ones_like(inputs[:1])])
        targets = single.head.conv.conv(whole)[0].flatten(1)
        gram = gram + (inputs @ inputs.T).double()
        projected = projected + (inputs @ targets.T).double()
    ridge = torch.full_like(gram[0], _RIDGE * float(gram[-1, -1]))
    ridge[-1] = 0  # of the constant; its entry of `gram` is the number of positions
    fitted = torch.linalg.solve(gram + ridge.diag(), projected).float()
    convolution, norm = path.head.conv.conv, path.head.conv.bn
    convolution.weight.copy_(fitted[:-1].T.reshape(convolution.weight.shape))
    norm.get_buffer("running_mean").sub_(fitted[-1])


def _features(
    path: Path, single: SingleFrameNetwork, frames: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the path's features and those of all its groups, frame by frame."""
    kept = kept_channels(path.pyramid)
    grouped = single.pyramid.out_channels > len(kept)
    for frame in frames.split(1):
        scales = path.backbone(frame).scales
        whole = (single if grouped else path).pyramid(*scales)
        yield whole[:, kept], whole
