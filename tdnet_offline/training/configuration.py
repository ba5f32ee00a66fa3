"""The sections and keys of a training recipe, with their defaults and limits.

The only place of these defaults. docs/training.md explains each key; a test compares the two.
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
    """The network to train."""

    variant: str = "td4-psp18"
    class_map: str = ""
    input_size: _InputSize = None
    memory_stride: Annotated[int, Range(1, 64)] = 3
    memory_frames: int | None = None
    attention_reach: Annotated[float | None, Range(0, 1000)] = None
    shared_paths: bool = False


@dataclass(frozen=True)
class InitConfig:
    """Source of the first weights; without any, weights are random."""

    backbone: str = ""
    single: str = ""
    pass_through: bool = False
    weights: str = ""


@dataclass(frozen=True)
class DataConfig:
    """Labelled videos for training and validation."""

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
    """Variation of a clip; motion and damage differ by frame."""

    rotation: Annotated[float, Range(0, 180)] = 5.0
    scales: Annotated[tuple[float, ...], Range(0.1, 10), _SOME] = (0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
    flip: bool = True
    color_jitter: _Share = 0.5
    motion: Annotated[float, Range(0, 0.1)] = 0.0
    stripe: Annotated[float, Range(0, 0.9)] = 0.0
    noise: Annotated[float, Range(0, 255)] = 0.0
    damaged: _Share = 0.5


@dataclass(frozen=True)
class LossConfig:
    """The terms of the loss (paper, section 3.4; specification, "Training")."""

    cross_entropy: Literal["ohem", "balanced"] | _UserClass = "ohem"
    balance: Annotated[float, Range(0, 1)] = 0.5
    sub: Annotated[float, Range(0, 1e3)] = 0.5
    auxiliary: Annotated[float, Range(0, 1e3)] = 0.1
    distillation: Literal["none", "full", "grouped"] = "grouped"
    teacher: str = ""
    pixel_stride: Annotated[int, Range(1, 16)] = 1


@dataclass(frozen=True)
class OptimisationConfig:
    """Optimiser, schedule and length of the training."""

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
    """Streaming IoU during training."""

    every: _Count = 1000
    clips: Annotated[int, Range(0, 10**9)] = 0


@dataclass(frozen=True)
class CheckpointConfig:
    """Checkpoints."""

    every: _Count = 1000
    precision: Literal["float32", "float16"] = "float32"


@dataclass(frozen=True)
class TrainingRecipe:
    """A training run."""

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
