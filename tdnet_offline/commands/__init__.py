"""The commands of `tdnet`: a row of `COMMANDS` and a module of the same name each.

The module has `configure(parser)`, which adds a description and options, and `run(args)`, which
returns an `ExitStatus`, or raises a `TdnetError` for a mistake of the user and an `OSError` for an
output that cannot be written. It is imported when its command is used, so that `tdnet --help` is
fast; for the same reason its functions import what takes long.
"""

from enum import IntEnum

COMMANDS = {
    "predict": "segment a folder of images, a video or a bag",
    "evaluate": "measure a network on data sets and bags",
    "benchmark": "measure latency, memory and start",
    "check": "count and sample a data set, and list what is missing",
    "extract": "write the frames of a video or a bag as PNG files",
    "convert": "write a checkpoint as safetensors",
    "export": "write a network as ONNX graphs",
    "adopt": "use an ONNX network of another project",
    "info": "list the variants, or describe a weights file",
    "synthesize": "render a synthetic street drive with exact labels",
    "train": "train a network by a recipe",
}
"""Name and one line of help, in the order of `tdnet --help`."""


class ExitStatus(IntEnum):
    """Exit status of `tdnet`.

    Attributes:
        DONE: everything was done.
        INCOMPLETE: some frames, labels or measurements could not be used.
        FAILED: nothing could be done; one line names the reason.
        INTERRUPTED: by Ctrl-C.
    """

    DONE = 0
    INCOMPLETE = 1
    FAILED = 2
    INTERRUPTED = 130
