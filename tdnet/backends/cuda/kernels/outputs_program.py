"""The kernel from logits to labels, confidence and overlay; importing it needs Triton."""

import triton
import triton.language as tl

# Other options or another opacity must not trigger the compiler on a robot.
_OPTIONS = ["keep", "with_confidence", "with_overlay", "with_counts"]


@triton.jit(do_not_specialize=_OPTIONS)
def make_outputs(
    logits: tl.tensor,
    ids: tl.tensor,
    pixels: tl.tensor,
    paint: tl.tensor,
    labels: tl.tensor,
    confidence: tl.tensor,
    overlay: tl.tensor,
    counts: tl.tensor,
    rows: int,
    columns: int,
    class_stride: int,
    row_stride: int,
    column_stride: int,
    width: int,
    row_step: float,
    column_step: float,
    threshold: float,
    keep: int,
    with_confidence: int,
    with_overlay: int,
    with_counts: int,
    PROBABILITY: tl.constexpr,
    CLASSES: tl.constexpr,
    CHUNK: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """One program: BLOCK neighbouring pixels of one row of the images.

    A pixel reads its four nearest logits class by class. It keeps the best score, its class, and
    the sum of exp(score - best), which is rescaled when a better score follows.
    """
    y = tl.program_id(1)
    x = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = x < width

    row = y.to(tl.float32) * row_step
    column = x.to(tl.float32) * column_step
    # Columns beyond the width are clamped to the map, so that no read needs a mask.
    above = tl.minimum(row.to(tl.int32), rows - 1)
    left = tl.minimum(column.to(tl.int32), columns - 1)
    down = row - above.to(tl.float32)
    across = column - left.to(tl.float32)
    upper = above * row_stride
    lower = tl.minimum(above + 1, rows - 1) * row_stride
    right = tl.minimum(left + 1, columns - 1) * column_stride
    left = left * column_stride

    # Below every score but minus infinity, which must not be subtracted from itself.
    best = tl.full([BLOCK], -3.0e38, tl.float32)
    channel = tl.zeros([BLOCK], tl.int32)
    total = tl.zeros([BLOCK], tl.float32)
    # A chunk is unrolled: with channels last its reads need no arithmetic for their addresses.
    for start in range(0, CLASSES, CHUNK):
        for i in tl.static_range(CHUNK):
            plane = logits + (start + i) * class_stride
            upper_left = tl.load(plane + upper + left).to(tl.float32)
            upper_right = tl.load(plane + upper + right).to(tl.float32)
            lower_left = tl.load(plane + lower + left).to(tl.float32)
            lower_right = tl.load(plane + lower + right).to(tl.float32)
            high = upper_left + (upper_right - upper_left) * across
            low = lower_left + (lower_right - lower_left) * across
            score = high + (low - high) * down
            gap = score - best
            better = score > best
            if PROBABILITY:
                fade = tl.exp(-tl.abs(gap))
                total = tl.where(better, total * fade + 1.0, total + fade)
            channel = tl.where(better, start + i, channel)
            # NaN stays the best score to the end, where it is handled like infinity.
            best = tl.maximum(best, score, propagate_nan=tl.PropagateNan.ALL)

    finite = (best > -3.0e38) & (best < float("inf"))
    label = tl.where(finite, tl.load(ids + channel).to(tl.int32), 255)
    if PROBABILITY:
        probability = 1.0 / total
        label = tl.where(probability < threshold, 255, label)
        if with_confidence != 0:
            shown = tl.where(finite, probability * 255.0 + 0.5, 0.0).to(tl.int32)
            tl.store(confidence + y * width + x, shown.to(tl.uint8), mask=inside)
    tl.store(labels + y * width + x, label.to(tl.uint8), mask=inside)

    if with_overlay != 0:
        colour = tl.load(paint + label)
        first = (y * width + x) * 3
        for i in tl.static_range(3):
            pixel = tl.load(pixels + first + i, mask=inside, other=0).to(tl.int32)
            blended = ((pixel * keep) >> 7) + ((colour >> (8 * i)) & 255)
            blended = tl.where(colour >= 1 << 24, pixel, blended)
            tl.store(overlay + first + i, blended.to(tl.uint8), mask=inside)

    if with_counts != 0:
        bins = tl.arange(0, 256)
        found = tl.histogram(tl.where(inside, label, 255), 256)
        absent = BLOCK - tl.minimum(width - tl.program_id(0) * BLOCK, BLOCK)
        found = tl.where(bins == 255, found - absent, found)
        tl.atomic_add(counts + bins, found, mask=found > 0, sem="relaxed")
