"""The networks of the study, how each is evaluated, and which are compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tdnet import packaged_weights
from tdnet.errors import UnknownNameError
from tdnet_offline.evaluation.memory_control import MemoryMode

NANO, EVIT = "psp18-nano", "evit-b0"
"""Single-frame variants that the networks start from."""
START_WEIGHTS = {
    NANO: Path(__file__).parent / f"{NANO}.safetensors",
    EVIT: cast(Path, packaged_weights(EVIT)),
}
"""Their weights: those of the recipe ``psp18-nano-streets``, and the packaged ones."""
CLEAN, STRIPE, NOISE = "none", "stripe=0.3", "noise=25"
"""Damage of the frames that a network is evaluated on, as `Damage.parse` reads it."""
DAMAGES = (CLEAN, STRIPE, NOISE)

_N = 40
"""Iterations for each path; four paths have those of ``recipe.yaml``, 4 N."""


@dataclass(frozen=True)
class Experiment:
    """One way to train and evaluate a network.

    Attributes:
        name: in files and tables.
        description: what sets it apart, in a few words.
        overrides: what it changes in ``recipe.yaml``.
        taught_by: experiment whose network is the teacher; empty: no distillation.
        weights_of: experiment whose network is evaluated, where none is trained.
        memory: past that the frames are segmented with.
        one_seed: the first seed only; its network serves all seeds.
    """

    name: str
    description: str
    overrides: tuple[str, ...] = ()
    taught_by: str = ""
    weights_of: str = ""
    memory: MemoryMode = "full"
    one_seed: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """Experiments that must run before this one."""
        return tuple(filter(None, (self.taught_by, self.weights_of)))


def _single(
    name: str, description: str, iterations: int, *overrides: str, one_seed: bool = False
) -> Experiment:
    words = (f"network.variant={NANO}", f"optimisation.iterations={iterations}", *overrides)
    return Experiment(name, description, words, one_seed=one_seed)


def _control(network: str, memory: MemoryMode, past: str) -> Experiment:
    name = f"{network} {'withheld' if memory == 'none' else memory}"
    text = f"the network of '{network}', each frame segmented {past}"
    return Experiment(name, text, weights_of=network, memory=memory)


_EVIT_SIZE = ("network.input_size=[128, 256]", "data.frame_size=[128, 256]")
_EVIT = (f"network.variant=td4-{EVIT}", *_EVIT_SIZE)


EXPERIMENTS = (
    _single(
        "teacher",
        "psp18-nano, its backbone trained too, eight times the labelled frames of one path",
        8 * _N,
        "optimisation.freeze_backbone=false",
        one_seed=True,
    ),
    _single("single", "psp18-nano, as many labelled frames as one path", _N),
    _single("single x4", "psp18-nano, as many labelled frames as four paths", 4 * _N),
    Experiment(
        "paths", "four paths in turn, trained without memory", ("network.memory_frames=0",)
    ),
    Experiment("memory", "four paths in turn with memory of three frames: td4-psp18-nano"),
    _control("memory", "none", "without the past"),
    _control("memory", "foreign", "with the past of another drive"),
    Experiment(
        "content only",
        "as 'memory', attention without the distance term",
        ("network.attention_reach=0",),
    ),
    Experiment(
        "shared",
        "as 'memory', one sub-network for all paths, as many updates as one path",
        ("network.shared_paths=true", f"optimisation.iterations={_N}"),
    ),
    Experiment(
        "shared x4",
        "as 'shared', as many labelled frames as four paths",
        ("network.shared_paths=true",),
    ),
    Experiment(
        "distilled",
        "as 'memory', with grouped distillation",
        ("loss.distillation=grouped",),
        taught_by="teacher",
    ),
    Experiment(
        "evit single x4",
        "evit-b0, as many labelled frames as four paths",
        (f"network.variant={EVIT}", *_EVIT_SIZE),
    ),
    Experiment(
        "evit memory",
        "td4-evit-b0: one sub-network for all paths, as many labelled frames as four",
        _EVIT,
    ),
    _control("evit memory", "none", "without the past"),
    _control("evit memory", "foreign", "with the past of another drive"),
    Experiment(
        "evit one frame",
        "as 'evit memory', a memory of one frame",
        (*_EVIT, "network.memory_frames=1"),
    ),
    Experiment(
        "evit content only",
        "as 'evit memory', attention without the distance term",
        (*_EVIT, "network.attention_reach=0"),
    ),
)


@dataclass(frozen=True)
class Claim:
    """A statement that a difference of mean IoU between two experiments supports.

    Attributes:
        text: the statement.
        better: experiment that should have the higher mean IoU.
        worse: experiment to compare it with.
        damages: of the frames on which the statement is made.
    """

    text: str
    better: str
    worse: str
    damages: tuple[str, ...] = DAMAGES


CLAIMS = (
    Claim("a frame's own past helps the same network", "memory", "memory withheld"),
    Claim("a frame's own past helps more than that of another drive", "memory", "memory foreign"),
    Claim("paths with memory beat paths that are trained without", "memory", "paths"),
    Claim(
        "paths with memory beat one single-frame network with equally many labelled frames",
        "memory",
        "single x4",
    ),
    Claim("the distance term of the attention helps", "memory", "content only", (STRIPE, NOISE)),
    Claim("distillation helps", "distilled", "memory"),
    Claim("independent paths beat shared ones, equal updates of a path", "memory", "shared"),
    Claim(
        "independent paths beat shared ones, equally many labelled frames", "memory", "shared x4"
    ),
    Claim(
        "a frame's own past helps the same network (td4-evit-b0)",
        "evit memory",
        "evit memory withheld",
    ),
    Claim(
        "a frame's own past helps more than that of another drive (td4-evit-b0)",
        "evit memory",
        "evit memory foreign",
    ),
    Claim(
        "td4-evit-b0 beats evit-b0 with equally many labelled frames",
        "evit memory",
        "evit single x4",
    ),
    Claim(
        "a memory of three frames beats one of one frame (td4-evit-b0)",
        "evit memory",
        "evit one frame",
    ),
    Claim(
        "the distance term of the attention helps (td4-evit-b0)",
        "evit memory",
        "evit content only",
        (STRIPE, NOISE),
    ),
)


def experiment(name: str) -> Experiment:
    """Return the experiment of that name.

    Raises:
        UnknownNameError: there is none.
    """
    known = {entry.name: entry for entry in EXPERIMENTS}
    if name not in known:
        raise UnknownNameError("experiment", name, known)
    return known[name]
