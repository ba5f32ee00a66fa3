"""What a training run is told: the sections and keys of a recipe, with their defaults and limits.

`recipe.py` reads them from YAML and from the command line; docs/training.md explains each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple


class Within(NamedTuple):
    """Limits of a number, or of each number of a list; both are allowed values.

    Attributes:
        least: allowed.
        most: allowed.
    """

    least: float
    most: float


SOURCE_SEPARATOR = " + "
"""Between the data sets of one text."""
_Share = Annotated[float, Within(0, 1)]
_Count = Annotated[int, Within(1, 10**9)]
# The sides that networks take; named here again, for importing a network takes seconds.
_InputSize = Annotated[tuple[int, int] | None, Within(33, 8193)]
_FrameSize = Annotated[tuple[int, int] | None, Within(1, 8193)]


@dataclass(frozen=True)
class NetworkConfig:
    """The network to train.

    Attributes:
        variant: a name of `tdnet.list_variants`.
        class_map: packaged name or YAML file; empty: the data set's own.
        input_size: height and width that the network sees, which is the size of the training
            crops; None: the variant's native size.
        memory_stride: rows and columns between memory positions while training; evaluation
            takes the variant's own.
        memory_frames: past frames that a frame uses, 0 to N - 1; None: all N - 1.
        attention_reach: of variants that prefer near positions, by how much; 0: not at all; None:
            the variant's own. Only the variant's own can be deployed.
        shared_paths: all paths are one sub-network; each keeps its slice of the pyramid.
    """

    variant: str = "td4-psp18"
    class_map: str = ""
    input_size: _InputSize = None
    memory_stride: Annotated[int, Within(1, 64)] = 3
    memory_frames: int | None = None
    attention_reach: Annotated[float | None, Within(0, 1000)] = None
    shared_paths: bool = False


@dataclass(frozen=True)
class InitConfig:
    """Where the weights come from before the first iteration; nothing given: random.

    Attributes:
        backbone: file with ImageNet weights of the backbone, or weights of a network of ours.
        single: checkpoint of the single-frame network that the paths start from.
        pass_through: let the values of the paths start as the features of `single`, so that they
            segment like it before any training; false: random, as published.
        weights: checkpoint of the same variant, also with another class map; ``packaged``: the
            one that comes with the variant.
    """

    backbone: str = ""
    single: str = ""
    pass_through: bool = False
    weights: str = ""


@dataclass(frozen=True)
class DataConfig:
    """Labelled videos to learn from and to validate on.

    Attributes:
        train: ``NAME:ROOT`` as `tdnet check` takes it, or a bag; several joined by " + ".
        shares: of the clips that come from each of several; None: as many as each has.
        train_split: part of it.
        validation: the same for validation; empty: as `train`.
        validation_split: part of it.
        topic: images of bags.
        label_topic: labels of bags.
        frame_size: height and width to which frames are resized as they are read; None: as they
            are.
        spacings: how many frames apart neighbours of a clip may be; each gap is drawn on its own.
        repeat_stills: labelled frames with too few frames before them are used, too: their oldest
            frame is repeated, as a standing camera would see it.
        workers: processes that read clips, for each training process; 0: none beside it.
    """

    train: str = ""
    shares: Annotated[tuple[float, ...] | None, Within(0.001, 1)] = None
    train_split: str = "train"
    validation: str = ""
    validation_split: str = "val"
    topic: str = ""
    label_topic: str = ""
    frame_size: _FrameSize = None
    spacings: Annotated[tuple[int, ...], Within(1, 1000)] = (1, 2)
    repeat_stills: bool = False
    workers: Annotated[int, Within(0, 256)] = 4

    @property
    def train_sources(self) -> list[str]:
        """The data sets to learn from."""
        return self.train.split(SOURCE_SEPARATOR)

    @property
    def validation_sources(self) -> list[str]:
        """The data sets to validate on."""
        return (self.validation or self.train).split(SOURCE_SEPARATOR)


@dataclass(frozen=True)
class AugmentationConfig:
    """How frames are varied: damage frame by frame, all else alike for a whole clip.

    Attributes:
        rotation: largest angle either way, degrees.
        scales: factors to which frames are resized before they are cropped; one is drawn. What is
            smaller than the crop is stretched to it.
        flip: whether half of the clips are mirrored.
        color_jitter: largest change of brightness, contrast and saturation, as a share.
        stripe: share of the rows that a damaged frame loses, at most; 0: none.
        noise: standard deviation of the noise of a damaged frame in grey levels, at most; 0: none.
        damaged: share of the frames that are damaged, where stripe or noise are above 0; each
            frame of a clip on its own.
    """

    rotation: Annotated[float, Within(0, 180)] = 5.0
    scales: Annotated[tuple[float, ...], Within(0.1, 10)] = (0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
    flip: bool = True
    color_jitter: _Share = 0.5
    stripe: Annotated[float, Within(0, 0.9)] = 0.0
    noise: Annotated[float, Within(0, 255)] = 0.0
    damaged: _Share = 0.5


@dataclass(frozen=True)
class LossConfig:
    """The terms of the loss (specification, "Training").

    Attributes:
        cross_entropy: ``ohem``: the hardest pixels; ``balanced``: all, rare classes weigh more.
        sub: weight of the path's own logits beside those with memory, which weigh 1.
        auxiliary: weight of the auxiliary head; 0: no such head.
        distillation: ``none``, ``full`` (of the whole logits) or ``grouped`` (also of each
            group's).
        teacher: checkpoint of the single-frame network that teaches.
    """

    cross_entropy: Literal["ohem", "balanced"] = "ohem"
    sub: Annotated[float, Within(0, 1e3)] = 0.5
    auxiliary: Annotated[float, Within(0, 1e3)] = 0.1
    distillation: Literal["none", "full", "grouped"] = "grouped"
    teacher: str = ""


@dataclass(frozen=True)
class OptimisationConfig:
    """Steps, their size and their number.

    Attributes:
        freeze_backbone: weights and statistics of the backbones stay as they begin.
        optimizer: ``sgd`` or ``adamw``.
        iterations: optimiser steps.
        batch_size: clips of one iteration, over all processes.
        accumulate: parts in which each process goes through its clips of an iteration.
        learning_rate: at the end of the warm-up.
        warm_up: iterations in which the rate grows to it.
        warm_up_start: rate of the first iteration.
        power: of the polynomial by which the rate then falls to 0.
        momentum: of SGD.
        weight_decay: of the weights of convolutions and linear layers.
        gradient_clip: largest norm of the gradient; 0: any.
        ema: decay of the moving average of the weights that is validated and saved; 0: none.
    """

    freeze_backbone: bool = False
    optimizer: Literal["sgd", "adamw"] = "sgd"
    iterations: _Count = 40_000
    batch_size: _Count = 8
    accumulate: _Count = 1
    learning_rate: Annotated[float, Within(0, 100)] = 1e-2
    warm_up: Annotated[int, Within(0, 10**9)] = 1000
    warm_up_start: Annotated[float, Within(1e-12, 100)] = 1e-5
    power: Annotated[float, Within(0, 10)] = 0.9
    momentum: Annotated[float, Within(0, 1)] = 0.9
    weight_decay: Annotated[float, Within(0, 10)] = 1e-4
    gradient_clip: Annotated[float, Within(0, 1e9)] = 0.0
    ema: Annotated[float, Within(0, 0.999999)] = 0.0


@dataclass(frozen=True)
class ValidationConfig:
    """Streaming mean IoU while training.

    Attributes:
        every: iterations between two validations.
        clips: labelled frames, spread evenly over the split; 0: all.
    """

    every: _Count = 1000
    clips: Annotated[int, Within(0, 10**9)] = 0


@dataclass(frozen=True)
class CheckpointConfig:
    """What is kept.

    Attributes:
        every: iterations between two checkpoints.
        precision: number format of the weights files.
    """

    every: _Count = 1000
    precision: Literal["float32", "float16"] = "float32"


@dataclass(frozen=True)
class TrainingConfig:
    """A whole run.

    Attributes:
        output: folder to write; empty: ``runs/`` and the recipe's name.
        seed: of weights, order of the clips, augmentation and dropout.
        resume: go on where the run in `output` stopped.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``auto``, ``float32``, ``bfloat16`` or ``float16``, of what needs no float32.
        log_every: iterations between two entries of the log.
    """

    output: str = ""
    seed: Annotated[int, Within(0, 2**31 - 1)] = 0
    resume: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    log_every: _Count = 20
    network: NetworkConfig = field(default_factory=NetworkConfig)
    init: InitConfig = field(default_factory=InitConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimisation: OptimisationConfig = field(default_factory=OptimisationConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
