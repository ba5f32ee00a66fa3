"""The sections and keys of a training recipe, with their defaults and limits.

The only place of these defaults. `recipe.py` reads recipes; docs/training.md explains each key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from tdnet._util.records import Length, Range, Stored


@dataclass(frozen=True)
class ClassPath:
    """A class of the user, and the arguments to create it with; see `user_objects.py`.

    Attributes:
        class_path: module and name of the class, such as ``my_callbacks.Freeze``.
        init_args: keyword arguments of its constructor.
    """

    class_path: str
    init_args: Mapping[str, Any] = field(default_factory=dict)


def _class_path(form: str | ClassPath) -> ClassPath:
    if isinstance(form, ClassPath):
        return form
    if "." not in form:
        raise ValueError("a class path has a module and a name, such as my_callbacks.Freeze")
    return ClassPath(form)


_UserClass = Annotated[ClassPath, Stored(str | ClassPath, _class_path, asdict)]
"""In a recipe a mapping of a `ClassPath`, or its `class_path` alone."""
SOURCE_SEPARATOR = " + "
"""Separator of several data sets in one text."""
_SOME = Length(1, 1000)
_Share = Annotated[float, Range(0, 1)]
_Count = Annotated[int, Range(1, 10**9)]
# The sizes that networks accept; repeated here because importing a network takes seconds.
_InputSize = Annotated[tuple[int, int] | None, Range(33, 8193)]
_FrameSize = Annotated[tuple[int, int] | None, Range(1, 8193)]


@dataclass(frozen=True)
class NetworkConfig:
    """The network to train.

    Attributes:
        variant: a name of `tdnet.list_variants`.
        class_map: packaged name or YAML file; empty: the class map of the data set.
        input_size: height and width of the network input and of the training crops; None: the
            native size of the variant.
        memory_stride: rows and columns between memory positions in training; evaluation uses the
            stride of the variant.
        memory_frames: past frames that a frame uses, 0 to N - 1; None: all N - 1.
        attention_reach: strength of the preference for near positions, for variants that have
            one; 0: none; None: the value of the variant, the only one that can be deployed.
        shared_paths: use one sub-network for all paths; each keeps its slice of the pyramid.
    """

    variant: str = "td4-psp18"
    class_map: str = ""
    input_size: _InputSize = None
    memory_stride: Annotated[int, Range(1, 64)] = 3
    memory_frames: int | None = None
    attention_reach: Annotated[float | None, Range(0, 1000)] = None
    shared_paths: bool = False


@dataclass(frozen=True)
class InitConfig:
    """Source of the first weights; without any, weights are random.

    Attributes:
        backbone: file with ImageNet weights of the backbone, or weights of one of our networks.
        single: checkpoint of the single-frame network that initialises the paths.
        pass_through: initialise the values of the paths to the features of `single`, so that the
            paths segment like it before any training; false: random, as published.
        weights: checkpoint of the same variant, also with another class map; ``packaged``: the
            packaged weights of the variant.
    """

    backbone: str = ""
    single: str = ""
    pass_through: bool = False
    weights: str = ""


@dataclass(frozen=True)
class DataConfig:
    """Labelled videos for training and validation.

    Attributes:
        train: data set or bag, as `tdnet check` accepts it; several joined by " + ".
        shares: share of the clips from each of several data sets; None: in proportion to their
            clips.
        train_split: split of `train`.
        validation: data for validation, as `train`; empty: the same as `train`.
        validation_split: split of `validation`.
        topic: image topic of bags.
        label_topic: label topic of bags.
        frame_size: height and width to which frames are resized when they are read; None: no
            resizing.
        spacings: allowed distances, in frames, between neighbours of a clip; each gap is drawn
            independently.
        repeat_stills: also use labelled frames with too few frames before them; the oldest frame
            is repeated, as from a standing camera.
        workers: processes that read clips, for each training process; 0: read in the training
            process.
    """

    train: str = ""
    shares: Annotated[tuple[float, ...] | None, Range(0.001, 1), _SOME] = None
    train_split: str = "train"
    validation: str = ""
    validation_split: str = "val"
    topic: str = ""
    label_topic: str = ""
    frame_size: _FrameSize = None
    spacings: Annotated[tuple[int, ...], Range(1, 1000), _SOME] = (1, 2)
    repeat_stills: bool = False
    workers: Annotated[int, Range(0, 256)] = 4


@dataclass(frozen=True)
class AugmentationConfig:
    """Variation of the frames: damage frame by frame, all else the same for a whole clip.

    Attributes:
        rotation: largest angle in either direction, degrees.
        scales: factors, of which one is drawn; frames are resized by it before they are cropped.
            A frame smaller than the crop is stretched to it.
        flip: mirror half of the clips.
        color_jitter: largest relative change of brightness, contrast and saturation.
        stripe: largest share of the rows that a damaged frame loses; 0: none.
        noise: largest standard deviation of the noise of a damaged frame, grey levels; 0: none.
        damaged: share of the frames that are damaged if `stripe` or `noise` is above 0; drawn for
            each frame of a clip.
    """

    rotation: Annotated[float, Range(0, 180)] = 5.0
    scales: Annotated[tuple[float, ...], Range(0.1, 10), _SOME] = (0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
    flip: bool = True
    color_jitter: _Share = 0.5
    stripe: Annotated[float, Range(0, 0.9)] = 0.0
    noise: Annotated[float, Range(0, 255)] = 0.0
    damaged: _Share = 0.5


@dataclass(frozen=True)
class LossConfig:
    """The terms of the loss (paper, section 3.4; specification, "Training").

    Attributes:
        cross_entropy: ``ohem``: the hardest pixels; ``balanced``: all pixels, rare classes weigh
            more; or a class, a subclass of `torch.nn.Module`.
        balance: exponent of the inverse class frequency for ``balanced``; 0: equal weights.
        sub: weight of the logits of the path without memory; the logits with memory weigh 1.
        auxiliary: weight of the auxiliary head; 0: no such head. A single-frame PSPNet is trained
            with 0.4.
        distillation: ``none``, ``full`` (whole logits) or ``grouped`` (logits of each group, too).
        teacher: checkpoint of the single-frame teacher network.
    """

    cross_entropy: Literal["ohem", "balanced"] | _UserClass = "ohem"
    balance: Annotated[float, Range(0, 1)] = 0.5
    sub: Annotated[float, Range(0, 1e3)] = 0.5
    auxiliary: Annotated[float, Range(0, 1e3)] = 0.1
    distillation: Literal["none", "full", "grouped"] = "grouped"
    teacher: str = ""


@dataclass(frozen=True)
class OptimisationConfig:
    """Optimiser, schedule and length of the training.

    Attributes:
        freeze_backbone: keep weights and statistics of the backbones.
        optimizer: ``sgd``, as published, or ``adamw``.
        iterations: optimiser steps.
        batch_size: clips of one iteration, over all processes.
        accumulate: parts into which each process divides its clips of an iteration.
        learning_rate: learning rate at the end of the warm-up, the largest.
        warm_up: iterations of the warm-up; 0: none.
        warm_up_start: learning rate of the first iteration of the warm-up.
        power: exponent of the polynomial decay to 0 after the warm-up.
        momentum: momentum of SGD, first beta of AdamW.
        weight_decay: weight decay of convolution and linear weights.
        gradient_clip: largest norm of the gradient; 0: no limit.
        ema: decay of the moving average of the weights, which is validated and saved; 0: none.
    """

    freeze_backbone: bool = False
    optimizer: Literal["sgd", "adamw"] = "sgd"
    iterations: _Count = 40_000
    batch_size: _Count = 8
    accumulate: _Count = 1
    learning_rate: Annotated[float, Range(0, 100)] = 1e-2
    warm_up: Annotated[int, Range(0, 10**9)] = 1000
    warm_up_start: Annotated[float, Range(1e-12, 100)] = 1e-5
    power: Annotated[float, Range(0, 10)] = 0.9
    momentum: Annotated[float, Range(0, 1)] = 0.9
    weight_decay: Annotated[float, Range(0, 10)] = 1e-4
    gradient_clip: Annotated[float, Range(0, 1e9)] = 0.0
    ema: Annotated[float, Range(0, 0.999999)] = 0.0


@dataclass(frozen=True)
class ValidationConfig:
    """Streaming IoU during training.

    Attributes:
        every: iterations between two validations.
        clips: labelled frames, evenly spread over the split; 0: all.
    """

    every: _Count = 1000
    clips: Annotated[int, Range(0, 10**9)] = 0


@dataclass(frozen=True)
class CheckpointConfig:
    """Checkpoints.

    Attributes:
        every: iterations between two checkpoints.
        precision: number format of the weights files.
    """

    every: _Count = 1000
    precision: Literal["float32", "float16"] = "float32"


@dataclass(frozen=True)
class TrainingRecipe:
    """A training run.

    Attributes:
        output: output folder; empty: ``runs/`` and the name of the recipe.
        seed: of weights, order of the clips, augmentation and dropout.
        resume: continue the run in `output`.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: number format of the operations that do not need float32: ``auto``,
            ``float32``, ``bfloat16`` or ``float16``.
        log_every: iterations between two entries of the log.
        callbacks: classes, subclasses of `lightning.pytorch.Callback`.
        loggers: ``tensorboard``, or classes, subclasses of `lightning.pytorch.loggers.Logger`.
    """

    output: str = ""
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0
    resume: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    log_every: _Count = 20
    callbacks: tuple[_UserClass, ...] = ()
    loggers: tuple[Literal["tensorboard"] | _UserClass, ...] = ("tensorboard",)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    init: InitConfig = field(default_factory=InitConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimisation: OptimisationConfig = field(default_factory=OptimisationConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
