"""The kernel from camera pixels to network input; importing it needs Triton."""

import triton
import triton.language as tl

# One compilation serves all cameras: specialised sizes are not faster.
_SIZES = ["camera_height", "camera_width", "height", "width", "row_taps", "column_taps"]


@triton.jit(do_not_specialize=_SIZES)
def make_frame(
    pixels: tl.tensor,
    frame: tl.tensor,
    row_starts: tl.tensor,
    row_weights: tl.tensor,
    column_starts: tl.tensor,
    column_weights: tl.tensor,
    normalisation: tl.tensor,
    camera_height: int,
    camera_width: int,
    height: int,
    width: int,
    row_taps: int,
    column_taps: int,
    BLOCK: tl.constexpr,
) -> None:
    """One program: BLOCK neighbouring numbers of one row of the frame.

    Frame and camera image have the same layout: the three colours of a pixel are neighbours. The
    unit is a number, not a pixel, so that neighbours read and write neighbours.
    """
    y = tl.program_id(1)
    number = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = number < width * 3
    x = tl.minimum(number // 3, width - 1)
    colour = number % 3
    top = tl.load(row_starts + y)
    left = tl.load(column_starts + x)
    value = tl.zeros([BLOCK], tl.float32)
    for i in range(column_taps):
        # Taps beyond the last one of a pixel have weight 0: any valid address works.
        column = tl.minimum(left + i, camera_width - 1)
        strip = tl.zeros([BLOCK], tl.float32)
        for j in range(row_taps):
            row = tl.minimum(top + j, camera_height - 1)
            pixel = tl.load(pixels + (row * camera_width + column) * 3 + colour)
            strip += pixel.to(tl.float32) * tl.load(row_weights + j * height + y)
        value += strip * tl.load(column_weights + i * width + x)
    value = value * tl.load(normalisation + colour) + tl.load(normalisation + 3 + colour)
    tl.store(frame + y * width * 3 + number, value.to(frame.dtype.element_ty), mask=inside)
