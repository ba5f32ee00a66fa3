"""TDNet: N shallow sub-networks that take turns, and attention that joins their features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from torch import Tensor, nn

from tdnet.errors import InputError
from tdnet.network.attention_propagation import AttentionPropagation
from tdnet.network.base import StreamingNetwork
from tdnet.network.encoding import Encoding
from tdnet.network.extractor import create_extractor
from tdnet.network.head import Head
from tdnet.network.layers import SpatialLayerNorm, initialise, tokens
from tdnet.network.position import PositionChannels
from tdnet.network.temporal_memory import Context, FrameFeatures, MemoryEntry
from tdnet.variants import Variant, feature_size


class ClipAttention(NamedTuple):
    """How a clip's last frame used the memory, T = h w tokens each.

    Attributes:
        context: what it attended to.
        query: (B, T, d) of the frame.
        value: (B, T, D) of the frame alone.
        joined: (B, T, D), the value with what the memory brought.
    """

    context: Context
    query: Tensor
    value: Tensor
    joined: Tensor


class ClipOutput(NamedTuple):
    """What training needs of a clip's last frame.

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
    """One sub-network: backbone, pyramid, encoding, attention propagation, norm and head.

    Args:
        variant: the network's description.
        index: p, 0 to N - 1; decides the pyramid group.
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
        self.propagation = AttentionPropagation(variant.value_channels, variant.memory_capacity)
        self.norm = SpatialLayerNorm(size)
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
        """Add the past to the current frame's value (B, D, h, w), asked by its query maps."""
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
        paths = (Path(variant, index, num_classes, size) for index in range(variant.paths))
        self.paths = cast("Sequence[Path]", nn.ModuleList(paths))

    def segment(
        self, frame: Tensor, path: int, context: Context | None
    ) -> tuple[Tensor, FrameFeatures | None]:
        """Segment a frame by a path; see `StreamingNetwork.segment`."""
        current, stride = self.paths[path], self.memory_stride
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

    def remember(self, left: FrameFeatures, path: int) -> MemoryEntry:
        """Project what is missing of a frame's query, key and value."""
        encoding = self.paths[path].encoding
        stride = self.memory_stride
        query = encoding.queries(left.features, stride) if left.query is None else left.query
        key = encoding.keys(left.features, stride)
        return encoding.entry(query, key, left.value)

    def ready(self, entries: Sequence[MemoryEntry], path: int) -> Context:
        """Run the chain u1, u2 ... with the path's own projections."""
        return self.paths[path].propagation.context(entries)

    def forward_clip(self, clip: Tensor, path: int) -> ClipOutput:
        """Segment the last frame of each clip; the frames before it fill the memory.

        The last frame goes to path p, the frames before it to the paths before it (cyclic); with
        a whole memory frame t-N+1 to path p+1, and so on (paper, section 3.4; specification,
        "Training"). Differentiable in all of them.

        Args:
            clip: (B, M + 1, 3, H, W) normalised RGB, oldest frame first, M being the memory's
                capacity.
            path: p, 0 to N - 1, the path that takes the last frame.

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
            source = self.paths[(path - past + offset) % self.variant.paths]
            features = source.features(clip[:, offset])
            memory.append(source.encoding.memory_entry(features, self.memory_stride))

        current = self.paths[path]
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
        """Fold the norms, and drop the biases that the spatial layer norm takes away again.

        A constant per channel in value or propagation passes the chain unchanged, since the
        attention's rows sum to 1, and vanishes in the layer norm (specification, "Identities").
        """
        super().fold()
        for path in self.paths:
            path.encoding.value.register_parameter("bias", None)
            for step in path.propagation.steps:
                step.projection.register_parameter("bias", None)
