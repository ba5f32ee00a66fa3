"""TDNet: N shallow sub-networks in turns, joined by attention to the features of past frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from torch import Tensor, nn

from tdnet.errors import InputError
from tdnet.network.attention_propagation import AttentionPropagation
from tdnet.network.base import StreamingNetwork
from tdnet.network.encoding import Encoding, PositionChannels
from tdnet.network.extractor import create_extractor
from tdnet.network.layers import Head, SpatialLayerNorm, initialise, tokens
from tdnet.network.temporal_memory import (
    READ_AND_WRITE,
    Context,
    FrameFeatures,
    MemoryAccess,
    MemoryEntry,
    TemporalMemory,
)
from tdnet.variants import Variant, feature_size


class ClipAttention(NamedTuple):
    """Attention of a clip's last frame to the memory, with T = h w tokens.

    Attributes:
        context: the context that it attended to.
        query: (B, T, d) of the frame.
        value: (B, T, D) of the frame alone.
        joined: (B, T, D), the value plus the propagated memory.
    """

    context: Context
    query: Tensor
    value: Tensor
    joined: Tensor


class ClipOutput(NamedTuple):
    """Outputs for training, of a clip's last frame.

    Attributes:
        full: (B, K, h, w) logits with the propagated memory.
        sub: (B, K, h, w) logits of the path's own features alone.
        layer3: (B, c, H', W') of the backbone, for the auxiliary head.
        attention: None without memory.
    """

    full: Tensor
    sub: Tensor
    layer3: Tensor
    attention: ClipAttention | None = None


class Path(nn.Module):
    """One sub-network: backbone, pyramid, encoding, attention propagation, norm if any, and head.

    Args:
        variant: the network's description.
        index: p, 0 to N - 1; selects the pyramid group.
        num_classes: K.
        size: (h, w) of the features.
    """

    def __init__(
        self, variant: Variant, index: int, num_classes: int, size: tuple[int, int]
    ) -> None:
        super().__init__()
        groups = variant.pyramid_groups
        self.backbone, self.pyramid = create_extractor(
            variant.backbone, size, groups, index % groups
        )
        self.encoding = Encoding(
            self.pyramid.out_channels,
            variant.key_channels,
            variant.value_channels,
            sample_before_projection=variant.sample_before_projection,
            position=PositionChannels(size, reach) if (reach := variant.attention_reach) else None,
        )
        self.propagation = AttentionPropagation(
            variant.value_channels, variant.memory_capacity, gated=variant.join == "gate"
        )
        self.norm = SpatialLayerNorm(size) if variant.join == "norm" else nn.Identity()
        self.head = Head(variant.value_channels, variant.head_channels, num_classes, variant.head)
        for part in (self.pyramid, self.encoding, self.propagation, self.head):
            initialise(part)

    def features(self, frames: Tensor) -> Tensor:
        """Map normalised frames (B, 3, H, W) to the path's own features (B, C, h, w)."""
        return self.pyramid(*self.backbone(frames).scales)

    def classify(self, features: Tensor) -> Tensor:
        """Map features (B, D, h, w) to logits (B, K, h, w)."""
        return self.head(self.norm(features))

    def propagate(self, context: Context, query: Tensor, value: Tensor) -> Tensor:
        """Add the past to the frame's value (B, D, h, w) by attention with its query maps."""
        joined = self.propagation(context, tokens(query), tokens(value))
        return joined.transpose(1, 2).reshape(value.shape)


class TDNet(StreamingNetwork):
    """Temporally distributed network (Hu et al., CVPR 2020).

    Args and errors as in :class:`StreamingNetwork`.
    """

    def __init__(
        self,
        variant: Variant,
        num_classes: int,
        input_size: tuple[int, int],
        memory_stride: int,
    ) -> None:
        super().__init__(variant, num_classes, input_size, memory_stride)
        size = feature_size(input_size)
        paths = (Path(variant, index, num_classes, size) for index in range(variant.sub_networks))
        self.paths = cast("Sequence[Path]", nn.ModuleList(paths))
        """The sub-networks; see `path`."""

    def path(self, index: int) -> Path:
        """Return path 0 to N - 1; all are one sub-network if the variant shares them."""
        return self.paths[index % len(self.paths)]

    def step(
        self, frame: Tensor, memory: TemporalMemory, access: MemoryAccess = READ_AND_WRITE
    ) -> Tensor:
        """Segment the next frame of a stream; see `StreamingNetwork.step`."""
        self.check_size(frame)
        if access.read or access.write:
            self.commit_memory(memory)
        context = memory.context if access.read else None
        logits, features = self.segment(frame, memory.path, context)
        if access.write:
            memory.advance(features)
        return logits

    def segment(
        self, frame: Tensor, path: int, context: Context | None
    ) -> tuple[Tensor, FrameFeatures | None]:
        """Segment a frame with one path.

        Args:
            frame: (B, 3, H, W) normalised RGB.
            path: index of the path, 0 to N - 1.
            context: context that `memory_context` made for this path; None without memory.

        Returns:
            Logits (B, K, h, w), and the maps of the memory entry; None if the network has no
            memory.
        """
        current, stride = self.path(path), self.memory_stride
        features = current.features(frame)
        value = current.encoding.value(features)
        query = None
        if context is None:
            logits = current.classify(value)
        else:
            query = current.encoding.queries(features)
            logits = current.classify(current.propagate(context, query, value))
        if self.variant.memory_capacity == 0:
            return logits, None
        sampled_query = None if query is None else query[:, :, ::stride, ::stride]
        return logits, FrameFeatures(
            features[:, :, ::stride, ::stride], sampled_query, value[:, :, ::stride, ::stride]
        )

    def commit_memory(self, memory: TemporalMemory) -> None:
        """Store the newest frame and chain the full memory for the path that comes next."""
        if memory.pending is not None:
            memory.store(self.memory_entry(memory.pending, memory.newest_path))
        if memory.capacity and memory.is_full and memory.context is None:
            memory.store_context(self.memory_context(memory.entries(), memory.path))

    def memory_entry(self, frame: FrameFeatures, path: int) -> MemoryEntry:
        """Make the memory entry of a frame that `path` segmented: project query and key."""
        encoding = self.path(path).encoding
        stride = self.memory_stride
        query = encoding.queries(frame.features, stride) if frame.query is None else frame.query
        key = encoding.keys(frame.features, stride)
        return encoding.entry(query, key, frame.value)

    def memory_context(self, entries: Sequence[MemoryEntry], path: int) -> Context:
        """Chain a full memory, oldest entry first, for the frame that `path` will segment."""
        return self.path(path).propagation.context(entries)

    def forward_clip(self, clip: Tensor, path: int) -> ClipOutput:
        """Segment the last frame of each clip, with a memory of the frames before it.

        Path p segments the last frame, path p - 1 (cyclic) encodes the frame before it, and so
        on (paper, section 3.4; specification, "Training"). Differentiable in all frames.

        Args:
            clip: (B, M + 1, 3, H, W) normalised RGB, oldest frame first, M being the memory's
                capacity.
            path: p, 0 to N - 1, the path of the last frame.

        Raises:
            InputError: another number of frames than M + 1, or another size.
        """
        past = self.variant.memory_capacity
        if clip.dim() != 5 or clip.shape[1] != past + 1:
            raise InputError(
                f"clip of shape {tuple(clip.shape)}; {self.variant.name} takes (B, {past + 1}, 3, "
                f"H, W): the labelled frame and the {past} before it"
            )
        self.check_size(clip[:, 0])
        memory = []
        for offset in range(past):
            source = self.path((path - past + offset) % self.variant.paths)
            features = source.features(clip[:, offset])
            memory.append(source.encoding.memory_entry(features, self.memory_stride))

        current = self.path(path)
        layer3, scales = current.backbone(clip[:, -1])
        features = current.pyramid(*scales)
        value = current.encoding.value(features)
        sub = current.classify(value)
        if not memory:
            return ClipOutput(full=sub, sub=sub, layer3=layer3)
        context = current.propagation.context(memory)
        query = current.encoding.queries(features)
        joined = current.propagate(context, query, value)
        full = current.classify(joined)
        attention = ClipAttention(context, tokens(query), tokens(value), tokens(joined))
        return ClipOutput(full, sub, layer3, attention)

    def fold(self) -> None:
        """Fold the norms, and drop the biases that a spatial layer norm cancels.

        A constant per channel in value or propagation passes the chain unchanged, because the
        rows of the attention sum to 1. The layer norm removes it (specification, "Identities").
        """
        super().fold()
        if self.variant.join != "norm":
            return
        for path in self.paths:
            path.encoding.value.register_parameter("bias", None)
            for step in path.propagation.steps:
                step.projection.register_parameter("bias", None)
