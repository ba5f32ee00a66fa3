"""Names of the entries in published TDNet checkpoints, derived from our names.

Both layouts hold the same tensors; the official one has 1x1 convolutions in place of our linear
layers. The names are derived from ours, so every entry of a network has exactly one official
name (specification, "Files" and the sections on each part).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from tdnet.network.layers import BINS
from tdnet.variants import EfficientVitBackbone, FanetBackbone, ResNetBackbone, Variant

_UNUSED = re.compile(
    r"""
      pretrained\d*\.fc\.(weight|bias)      # classifier of the ImageNet backbone
    | aux(layer|_layer)?\d*\..*             # auxiliary heads, training only
    | head_aux\d*\..*
    | ffm_(8|32)_\d+\.smooth\..*         # all four levels of FANet have the same form
    | ffm_4_\d+\.up\..*
    """,
    re.VERBOSE,
)

_BRANCH_ENTRIES = ("0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var")

_STEM_SHALLOW = {"0.conv": "conv1", "0.bn": "bn1"}
_STEM_DEEP = {
    "0.conv": "conv1.0",
    "0.bn": "conv1.1",
    "1.conv": "conv1.3",
    "1.bn": "conv1.4",
    "2.conv": "conv1.6",
    "2.bn": "bn1",
}
# Applied one after the other. Our blocks of residuals have the name `block`.
_EFFICIENTVIT = (
    (r"^backbone\.stem\.", "backbone.input_stem.op_list."),
    (r"^backbone\.stages\.(\d)\.", r"backbone.stages.\1.op_list."),
    (r"^pyramid\.projections\.0\.", "head.input_ops.2."),
    (r"^pyramid\.projections\.1\.", "head.input_ops.1.op_list.0."),
    (r"^pyramid\.projections\.2\.", "head.input_ops.0.op_list.0."),
    (r"^pyramid\.blocks\.", "head.middle.op_list."),
    (r"^head\.conv\.", "head.output_ops.0.op_list.0."),
    (r"^head\.classifier\.", "head.output_ops.0.op_list.1.conv."),
    (r"\.attention\.block\.qkv\.", ".context_module.main.qkv.conv."),
    (r"\.attention\.block\.aggregate\.", ".context_module.main.aggreg.0."),
    (r"\.attention\.block\.project\.", ".context_module.main.proj."),
    (r"\.local\.block\.", ".local_module.main."),
    (r"(?:\.block)?\.expand\.", ".main.inverted_conv."),
    (r"(?:\.block)?\.depthwise\.", ".main.depth_conv."),
    (r"(?:\.block)?\.project\.", ".main.point_conv."),
    (r"\.main\.main\.", ".main."),
    (r"\.bn\.", ".norm."),
)
_CONV_NORM = {"conv": "0", "bn": "1"}
_FAST_ATTENTION = {"query": "w_qs", "key": "w_ks", "value": "w_vs", "mix": "latlayer3"}
_FANET_LEVELS = {"attention": (4, 8, 16, 32), "up": (8, 16, 32), "smooth": (4, 16)}


def is_unused(name: str) -> bool:
    """Return whether no network of ours uses an official entry."""
    return _UNUSED.fullmatch(name) is not None


def official_names(variant: Variant, names: Iterable[str]) -> dict[str, str]:
    """Map each of our names to its official name; return {} if there is no official layout.

    Args:
        variant: description of the network.
        names: keys of its state dict.
    """
    kind, has_memory = type(variant.backbone), variant.paths > 1
    if kind is EfficientVitBackbone and not has_memory:
        return {name: _efficientvit_name(name) for name in names}
    if kind not in (ResNetBackbone, FanetBackbone) or (kind is FanetBackbone and not has_memory):
        return {}
    rename = _path_name if has_memory else _single_frame_name
    return {name: rename(variant, name) for name in names}


def official_backbone_names(variant: Variant, names: Iterable[str]) -> dict[str, str]:
    """Map each name of a backbone's state dict to its official name, which is torchvision's.

    The spatial path of BiSeNet has no official names.

    Args:
        variant: a network with that backbone.
        names: keys of the backbone's state dict.
    """
    if isinstance(variant.backbone, EfficientVitBackbone):
        whole = ((name, _efficientvit_name(f"backbone.{name}")) for name in names)
        return {name: official.removeprefix("backbone.") for name, official in whole}
    context = {name: name.removeprefix("context.") for name in names}
    return {
        name: _backbone_name(variant, rest)
        for name, rest in context.items()
        if not rest.startswith("spatial.")
    }


def _single_frame_name(variant: Variant, name: str) -> str:
    part, rest = name.split(".", 1)
    if part == "backbone":
        return f"pretrained.{_backbone_name(variant, rest)}"
    if part == "pyramid":
        return f"head.conv5.0.{_pyramid_name(rest)}"
    return f"head.conv5.{_head_name(rest, conv='1', norm='2', classifier='5')}"


def _path_name(variant: Variant, name: str) -> str:
    _, index, part, rest = name.split(".", 3)
    path = int(index) + 1
    has_fast_attention = isinstance(variant.backbone, FanetBackbone)
    if part == "backbone":
        return f"pretrained{path}.{_backbone_name(variant, rest)}"
    if part == "pyramid" and has_fast_attention:
        return _fast_attention_name(path, rest)
    if part == "pyramid":
        return f"psp{path}.{_pyramid_name(rest)}"
    if part == "head" and has_fast_attention:
        return f"head{path}.{rest.replace('classifier.', 'conv_out.')}"
    if part == "head":
        return f"head{path}.conv5.{_head_name(rest, conv='0', norm='1', classifier='4')}"
    if part == "encoding":
        return f"enc{path}.{_encoding_name(rest)}"
    if part == "propagation":
        _, step, _, parameter = rest.split(".")
        source = (path - 1 - variant.memory_capacity + int(step)) % variant.paths + 1
        pair = f"{path}_{source}" if variant.paths > 2 else f"{path}"
        return f"atn{pair}.fc.0.conv.{parameter}"
    return f"layer_norm{path}.ln.{rest}"


def _efficientvit_name(name: str) -> str:
    """Return the name in a public checkpoint of EfficientViT's segmentation networks."""
    for pattern, official in _EFFICIENTVIT:
        name = re.sub(pattern, official, name)
    return name


def _backbone_name(variant: Variant, rest: str) -> str:
    part, index, layer, *tail = rest.split(".")
    if part == "stem":
        shallow = isinstance(variant.backbone, ResNetBackbone) and variant.backbone.depth < 50
        stem = _STEM_SHALLOW if shallow else _STEM_DEEP
        return ".".join([stem[f"{index}.{layer}"], *tail])
    kind, parameter = tail
    if layer == "downsample":
        return f"{part}.{index}.downsample.{_CONV_NORM[kind]}.{parameter}"
    return f"{part}.{index}.{kind}{layer.removeprefix('conv')}.{parameter}"


def _pyramid_name(rest: str) -> str:
    _, branch, kind, parameter = rest.split(".")
    return f"conv{int(branch) + 1}.{_CONV_NORM[kind]}.{parameter}"


def _fast_attention_name(path: int, rest: str) -> str:
    part, index, tail = rest.split(".", 2)
    if part != "attention":
        return f"ffm_{_FANET_LEVELS[part][int(index)]}_{path}.{part}.{tail}"
    projection, tail = tail.split(".", 1)
    level = _FANET_LEVELS[part][int(index)]
    return f"ffm_{level}_{path}.{_FAST_ATTENTION[projection]}.{tail}"


def _encoding_name(rest: str) -> str:
    if rest.startswith("value."):
        return f"w_vs.0.conv.{rest.removeprefix('value.')}"
    projection, layer, *tail = rest.split(".")
    if layer == "1":
        tail = ["conv", *tail]
    return ".".join([f"w_{projection[0]}s", layer, *tail])


def _head_name(rest: str, *, conv: str, norm: str, classifier: str) -> str:
    if rest.startswith("classifier."):
        return f"{classifier}.{rest.removeprefix('classifier.')}"
    _, kind, parameter = rest.split(".")
    return f"{conv if kind == 'conv' else norm}.{parameter}"


def undivided(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Join the entries of a teacher to those of its single-frame network, by official names.

    The teacher keeps a pyramid ``psp{i}`` and a slice ``group{i}`` of the head's 3x3 convolution
    for each of its N groups. A group uses only its own part of its pyramid, so the parts form one
    network with the same logits (specification, "Grouped distillation").

    Args:
        tensors: entries of a checkpoint by name. Entries of other networks, or of an incomplete
            teacher, are returned unchanged.
    """
    groups = 0
    while f"group{groups + 1}.conv5.0.weight" in tensors:
        groups += 1
    if groups == 0:
        return tensors
    try:
        return _joined(tensors, range(1, groups + 1))
    except (KeyError, IndexError, RuntimeError):  # entries missing or misshapen
        return tensors


def _joined(tensors: Mapping[str, Tensor], groups: range) -> dict[str, Tensor]:
    renamed = {"head.conv5.0.": "head.conv5.2.", "head.conv5.3.": "head.conv5.5."}
    joined: dict[str, Tensor] = {}
    for name, item in tensors.items():
        if name.startswith(("psp", "group")):
            continue
        for theirs, ours in renamed.items():
            if name.startswith(theirs):
                name = name.replace(theirs, ours)
                break
        joined[name] = item
    for branch in range(1, len(BINS) + 1):
        for entry in _BRANCH_ENTRIES:
            parts = [
                tensors[f"psp{group}.conv{branch}.{entry}"].tensor_split(len(groups))[index]
                for index, group in enumerate(groups)
            ]
            joined[f"head.conv5.0.conv{branch}.{entry}"] = torch.cat(parts)
        counter = f"conv{branch}.1.num_batches_tracked"
        if f"psp1.{counter}" in tensors:
            joined[f"head.conv5.0.{counter}"] = tensors[f"psp1.{counter}"]
    slices = [tensors[f"group{group}.conv5.0.weight"] for group in groups]
    pooled = slices[0].shape[1] // (2 * len(BINS))
    widths = [pooled * len(BINS), *[pooled] * len(BINS)]
    columns = zip(*(item.split(widths, dim=1) for item in slices), strict=True)
    joined["head.conv5.1.weight"] = torch.cat([part for parts in columns for part in parts], dim=1)
    return joined
