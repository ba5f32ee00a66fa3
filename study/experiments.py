"""The networks of the study, and what the paper says of them."""

from __future__ import annotations

from dataclasses import dataclass

from tdnet.errors import UnknownNameError

FULL_RATE = 17.0
"""Frames a second of the street, as of Cityscapes."""


@dataclass(frozen=True)
class Experiment:
    """One way to train a network; every one is run with several seeds.

    Attributes:
        name: in files and tables.
        description: what is special about it, in a few words.
        overrides: what it changes in ``recipe.yaml``.
        starts_from: experiment whose weights it begins with, of the same seed; empty: random.
        taught_by: experiment whose network teaches it.
        weights_of: experiment whose network is evaluated, where none is trained.
        rate: frames a second that it is evaluated at.
        withheld: whether the paths take turns without their memory in the evaluation.
    """

    name: str
    description: str
    overrides: tuple[str, ...] = ()
    starts_from: str = ""
    taught_by: str = ""
    weights_of: str = ""
    rate: float = FULL_RATE
    withheld: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """Experiments that have to be run before it."""
        return tuple(filter(None, (self.starts_from, self.taught_by, self.weights_of)))


def _single(name: str, description: str, *overrides: str, starts_from: str = "") -> Experiment:
    changes = ("network.variant=psp18-nano", *overrides)
    return Experiment(name, description, changes, starts_from=starts_from)


def _td4(name: str, description: str, *overrides: str) -> Experiment:
    return Experiment(name, description, overrides, starts_from="start")


def _taught(
    name: str, description: str, *overrides: str, rate: float = FULL_RATE, kind: str = "grouped"
) -> Experiment:
    changes = (f"loss.distillation={kind}", *overrides)
    return Experiment(
        name, description, changes, starts_from="start", taught_by="teacher", rate=rate
    )


EXPERIMENTS = (
    _single(
        "start",
        "psp18-nano after the first phase; all but the teacher begin with it",
        "optimisation.iterations=2000",
        "optimisation.batch_size=8",
        "optimisation.learning_rate=0.004",
    ),
    Experiment(
        "teacher",
        "psp18-half, twice as wide; the labelled frames of both phases in one",
        (
            "network.variant=psp18-half",
            "optimisation.iterations=2500",
            "optimisation.batch_size=8",
            "optimisation.learning_rate=0.004",
        ),
    ),
    _single("single", "psp18-nano, one path's cost", starts_from="start"),
    _single(
        "single x4",
        "psp18-nano, four times the labelled frames: as many as td4 sees frames",
        "optimisation.batch_size=16",
        starts_from="start",
    ),
    Experiment(
        "single, taught",
        "psp18-nano, distilled from the teacher",
        ("network.variant=psp18-nano", "loss.distillation=full"),
        starts_from="start",
        taught_by="teacher",
    ),
    _td4("memory 0", "four paths in turn, no attention propagation", "network.memory_frames=0"),
    _td4(
        "memory 0 x4",
        "the same, four times the labelled frames: each path learns as often as with memory 3",
        "network.memory_frames=0",
        "optimisation.batch_size=16",
    ),
    _td4("memory 1", "attention over 1 past frame", "network.memory_frames=1"),
    _td4("memory 2", "attention over 2 past frames", "network.memory_frames=2"),
    _td4("memory 3", "attention over 3 past frames: td4 without distillation"),
    Experiment(
        "memory 3, withheld",
        "the network of 'memory 3', its paths without their memory",
        weights_of="memory 3",
        withheld=True,
    ),
    _taught("full", "td4, distilled from the teacher's whole logits", kind="full"),
    _taught("grouped", "td4 as in the paper: grouped distillation"),
    _taught(
        "shared",
        "td4, its paths one sub-network but for their slices of the pyramid; two of the four "
        "begin with a head that was cut for the other slice",
        "network.shared_paths=true",
    ),
    Experiment(
        "grouped, half rate",
        "the network of 'grouped' at half the frame rate",
        weights_of="grouped",
        rate=FULL_RATE / 2,
    ),
    _taught(
        "half rate",
        "td4 trained, too, at half the frame rate",
        "data.spacings=[2, 4]",
        rate=FULL_RATE / 2,
    ),
)


@dataclass(frozen=True)
class Claim:
    """Something that the paper says, as a comparison of two experiments.

    Attributes:
        text: what it says.
        better: experiment that should have the higher mean IoU.
        worse: the one to compare it with.
        within: how much lower ``better`` may be, in mean IoU, for claims of "hardly less".
    """

    text: str
    better: str
    worse: str
    within: float = 0.0


CLAIMS = (
    Claim(
        "td4 is better than a single-frame network of one path's cost, both taught",
        "grouped",
        "single, taught",
    ),
    Claim("... neither taught", "memory 3", "single"),
    Claim(
        "... neither taught, the single one with four times the frames", "memory 3", "single x4"
    ),
    Claim(
        "attention propagation helps: the same network with and without",
        "memory 3",
        "memory 3, withheld",
    ),
    Claim("... networks trained with and without", "memory 3", "memory 0 x4"),
    Claim("1 past frame is better than none", "memory 1", "memory 0"),
    Claim("2 past frames are better than 1", "memory 2", "memory 1"),
    Claim("3 past frames are better than 2", "memory 3", "memory 2"),
    Claim("distillation helps", "full", "memory 3"),
    Claim("grouped distillation is better than that of the whole", "grouped", "full"),
    Claim("independent sub-networks are better than shared ones", "grouped", "shared"),
    Claim(
        "at half the frame rate hardly anything is lost (1 point at most)",
        "grouped, half rate",
        "grouped",
        within=0.01,
    ),
    Claim(
        "... if trained at it",
        "half rate",
        "grouped",
        within=0.01,
    ),
    Claim(
        "td4 comes near its teacher (2 points at most)",
        "grouped",
        "teacher",
        within=0.02,
    ),
)


def experiment(name: str) -> Experiment:
    """Return the experiment of that name.

    Raises:
        UnknownNameError: there is none.
    """
    for candidate in EXPERIMENTS:
        if candidate.name == name:
            return candidate
    raise UnknownNameError("experiment", name, [entry.name for entry in EXPERIMENTS])
