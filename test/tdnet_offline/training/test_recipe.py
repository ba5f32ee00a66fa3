"""Recipes are read, changed by words, and refused with the key that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tdnet._util.resources import config_dir
from tdnet.errors import InputError, UnknownNameError
from tdnet.variants import get_variant
from tdnet_offline.training.configuration import ClassPath, TrainingRecipe
from tdnet_offline.training.recipe import (
    changed_keys,
    load_recipe,
    recipe_names,
    recipe_text,
)

OF_THE_PAPER = ("td4-psp18", "td2-psp50", "td2-fa18", "td4-bise18")
SINGLE_FRAME = ("psp18", "psp50", "psp101", "fa18", "bise18")
PUBLISHED = {
    f"{variant}-{data}"
    for variant in (*OF_THE_PAPER, *SINGLE_FRAME)
    for data in ("cityscapes", "camvid", "nyudv2")
}
OTHERS = {"td4-psp34-cityscapes", "psp34-cityscapes"}


def test_every_published_network_has_a_recipe_for_every_data_set() -> None:
    assert set(recipe_names()) >= PUBLISHED | OTHERS | {
        "td4-psp18-nano-street",
        "psp18-nano-street",
    }


@pytest.mark.parametrize("name", recipe_names())
def test_packaged_recipes_are_valid(name: str) -> None:
    config = load_recipe(name)
    variant = get_variant(config.network.variant).name
    assert name.startswith(f"{variant}-") or name not in PUBLISHED | OTHERS
    assert config.output == f"runs/{name}"
    # What a run starts from is what another recipe leaves.
    for path in (config.init.single, config.loss.teacher):
        if path:
            assert Path(path).parts[0] == "runs"
            assert Path(path).parts[1] in recipe_names()
    if config.init.single:
        single = load_recipe(Path(config.init.single).parts[1]).network.variant
        assert get_variant(single).backbone == get_variant(variant).backbone
    assert load_recipe(str(config_dir() / "train" / f"{name}.yaml")) == config


def test_the_published_settings_are_those_of_the_specification() -> None:
    config = load_recipe("td4-psp18-cityscapes")
    assert config.network.input_size == (769, 1537)
    assert config.network.memory_stride == 3
    assert config.data.spacings == (1, 2)
    assert config.loss.cross_entropy == "ohem"
    assert (config.loss.sub, config.loss.auxiliary) == (0.5, 0.1)
    assert config.loss.distillation == "grouped"
    chosen = config.optimisation
    assert (chosen.optimizer, chosen.momentum, chosen.weight_decay) == ("sgd", 0.9, 1e-4)
    assert (chosen.iterations, chosen.batch_size) == (40_000, 8)
    assert (chosen.learning_rate, chosen.warm_up, chosen.warm_up_start) == (1e-2, 1000, 1e-5)
    varied = config.augmentation
    assert (varied.rotation, varied.color_jitter, varied.flip) == (5, 0.5, True)
    assert varied.scales == (0.75, 1, 1.25, 1.5, 1.75, 2)
    assert (varied.stripe, varied.noise) == (0, 0)
    assert config.data.frame_size == (769, 1537)
    assert not config.data.repeat_stills
    single = load_recipe("psp101-cityscapes")
    assert (single.loss.auxiliary, single.loss.distillation) == (0.4, "none")


@pytest.mark.parametrize("name", ["fa18", "td2-fa18"])
def test_fanet_trains_at_a_size_that_halves_six_times(name: str) -> None:
    config = load_recipe(f"{name}-cityscapes")
    assert config.network.input_size == get_variant(name).input_size == (768, 1536)
    assert config.data.frame_size == (768, 1536)
    assert config.loss.auxiliary == 0


@pytest.mark.parametrize("variant", [*OF_THE_PAPER, *SINGLE_FRAME])
@pytest.mark.parametrize(("data", "crop"), [("camvid", (720, 960)), ("nyudv2", (480, 640))])
def test_other_data_sets_change_the_crop_and_nothing_of_the_schedule(
    variant: str, data: str, crop: tuple[int, int]
) -> None:
    config = load_recipe(f"{variant}-{data}")
    changed = changed_keys(load_recipe(f"{variant}-cityscapes"), config)
    files = {"init.single", "loss.teacher"} if variant in OF_THE_PAPER else set()
    sizes = {"network.input_size", "data.frame_size"}
    assert set(changed) == {"output", "data.train", *sizes, *files}
    assert config.data.frame_size == crop
    assert config.network.variant == variant
    assert config.network.input_size == crop
    assert config.data.train == f"{data}:data/{data}"


@pytest.mark.parametrize("data", ["cityscapes", "camvid", "nyudv2"])
@pytest.mark.parametrize("variant", OF_THE_PAPER)
def test_paths_start_from_their_single_frame_network_on_the_same_data(
    variant: str, data: str
) -> None:
    config = load_recipe(f"{variant}-{data}")
    single, teacher = (
        load_recipe(Path(path).parts[1]) for path in (config.init.single, config.loss.teacher)
    )
    paths, start = get_variant(variant), get_variant(single.network.variant)
    assert (start.paths, start.backbone) == (1, paths.backbone)
    assert teacher.network.variant == "psp101"
    assert single.data == config.data
    sources = [(each.data.train, each.data.validation) for each in (single, teacher)]
    assert sources[0] == sources[1]
    assert (single.loss.auxiliary > 0) == (config.loss.auxiliary > 0) == (variant != "td2-fa18")


def test_words_change_keys() -> None:
    words = [
        "optimisation.iterations=10",
        "optimisation.learning_rate=1e-4",
        "network.input_size=[65, 129]",
        "data.train=street:0-9@40x64,frames=4",
        "data.spacings=[1]",
        "loss.distillation=none",
        "augmentation.flip=false",
        "output=some where/é",
        "init.single=",
    ]
    config = load_recipe("td4-psp18-cityscapes", words)
    assert config.optimisation.iterations == 10
    assert config.optimisation.learning_rate == 1e-4
    assert config.network.input_size == (65, 129)
    assert config.data.train == "street:0-9@40x64,frames=4"
    assert config.data.spacings == (1,)
    assert config.augmentation.flip is False
    assert config.output == "some where/é"
    assert config.init.single == ""
    base = load_recipe("td4-psp18-cityscapes")
    assert set(changed_keys(base, config)) == {word.partition("=")[0] for word in words}


def test_a_written_recipe_is_read_as_the_same(tmp_path: Path) -> None:
    words = ["optimisation.warm_up_start=1e-7", "network.memory_frames=2", "seed=3"]
    config = load_recipe("td2-psp50-camvid", words)
    path = tmp_path / "written.yaml"
    path.write_text(recipe_text(config), encoding="utf-8")
    assert load_recipe(str(path)) == config


def test_a_recipe_may_start_from_another(tmp_path: Path) -> None:
    (tmp_path / "low.yaml").write_text("seed: 4\noptimisation: {iterations: 9, power: 1}\n")
    (tmp_path / "high.yaml").write_text("base: low.yaml\noptimisation: {iterations: 8}\n")
    config = load_recipe(str(tmp_path / "high.yaml"))
    assert config.output == str(Path("runs") / "high")
    assert (config.seed, config.optimisation.iterations, config.optimisation.power) == (4, 8, 1)


def test_another_class_does_not_get_the_arguments_of_the_base(tmp_path: Path) -> None:
    given = "base: low.yaml\nloss: {cross_entropy: {class_path: c.D, init_args: {y: 2}}}\n"
    (tmp_path / "low.yaml").write_text(
        "loss: {cross_entropy: {class_path: a.B, init_args: {x: 1}}}\n"
    )
    (tmp_path / "high.yaml").write_text(given)
    config = load_recipe(str(tmp_path / "high.yaml"))
    assert config.loss.cross_entropy == ClassPath("c.D", {"y": 2})
    config = load_recipe(str(tmp_path / "low.yaml"), ["loss.cross_entropy.init_args.y=3"])
    assert config.loss.cross_entropy == ClassPath("a.B", {"x": 1, "y": 3})


def test_a_section_without_keys_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "low.yaml").write_text("data: {train: 'street:1', workers: 3}\n")
    (tmp_path / "high.yaml").write_text("base: low.yaml\ndata:\nloss:\n")
    config = load_recipe(str(tmp_path / "high.yaml"), ["data.topic=/x", "loss.sub=2"])
    assert (config.data.train, config.data.workers, config.data.topic) == ("street:1", 3, "/x")
    assert config.loss.sub == 2
    assert load_recipe(str(tmp_path / "high.yaml")).loss == TrainingRecipe().loss
    (tmp_path / "alone.yaml").write_text("data:\n")
    assert load_recipe(str(tmp_path / "alone.yaml"), ["data.train=x"]).data.train == "x"


def test_what_a_recipe_leaves_out_has_its_default(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("optimisation: {}")
    config = load_recipe(str(tmp_path / "empty.yaml"))
    assert config == TrainingRecipe(output=str(Path("runs") / "empty"))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("optimisation.iteration=3", "optimisation: unknown key 'iteration'; allowed freeze_b"),
        ("optimisation.iteration=3", "; did you mean iterations?"),
        ("iterations=3", "did you mean optimisation.iterations?"),
        ("lose.teacher=x", "did you mean loss?"),
        ("los.sub=1", "allowed output, seed,"),
        ("seed.x=3", "seed: got a mapping; allowed a whole number from 0"),
        (
            "optimisation.iterations=0",
            "optimisation.iterations: got 0; allowed a whole number from",
        ),
        ("optimisation.iterations=1.5", "optimisation.iterations: got 1.5; allowed a whole"),
        ("optimisation.iterations=true", "optimisation.iterations: got true"),
        ("optimisation.learning_rate=fast", "optimisation.learning_rate: got 'fast'; allowed a n"),
        ("optimisation.learning_rate=.nan", "optimisation.learning_rate: got NaN"),
        ("optimisation.optimizer=adam", "allowed sgd, adamw; did you mean adamw?"),
        (
            "network.input_size=[65]",
            "network.input_size: got a list of 1; allowed a list of 2, ea",
        ),
        ("data.spacings=[0]", "data.spacings[0]: got 0; allowed a whole number from 1"),
        ("data.spacings=[]", "data.spacings: got a list of 0"),
        ("augmentation.flip=1", "augmentation.flip: got 1; allowed true or false"),
        ("loss.sub=", "loss.sub: got null; allowed a number from 0 to 1000"),
        ("optimisation.warm_up_start=0", "optimisation.warm_up_start: got 0.0; allowed a number"),
        (f"optimisation.learning_rate={'9' * 400}", "allowed a number from 0 to 100"),
        ("augmentation.scales=[1, 11]", "augmentation.scales[1]: got 11.0; allowed a number fro"),
        ("augmentation.stripe=0.95", "allowed a number from 0 to 0.9"),
        ("augmentation.noise=-1", "allowed a number from 0 to 255"),
        ("data.shares=[0, 1]", "data.shares[0]: got 0.0; allowed a number from 0.001 to 1"),
        ("data.frame_size=[0, 0]", "data.frame_size[0]: got 0; allowed a whole number from 1"),
        ("data.frame_size=[100000, 100000]", "allowed a whole number from 1 to 8193"),
        ("network.input_size=[32, 64]", "allowed a whole number from 33 to 8193"),
        ("loss=3", "loss: got 3; allowed a mapping with cross_entropy, balance"),
        ("seed", "write KEY=VALUE"),
        ("=3", "write KEY=VALUE"),
    ],
)
def test_what_is_wrong_is_named(word: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_recipe("td4-psp18-cityscapes", [word])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: [1\n", "recipe.yaml:2: not valid YAML"),
        ("- seed\n", "got a list of 1; allowed a mapping with output, seed"),
        ("output: 3\n", "recipe.yaml:1: output: got 3; allowed text; put it in quotes"),
        ("base: other.yaml\n", "other.yaml: does not exist"),
        ("base: recipe.yaml\n", "base: got 'recipe.yaml'; allowed a recipe in the same folder"),
        ("lose: {teacher: x}\n", "unknown key 'lose'"),
        ("{1: 2}\n", "unknown key '1'"),
        ("when: 2020-99-99\n", "not valid YAML"),
        ('seed: "\\UFFFFFFFF"\n', "not valid YAML"),
    ],
)
def test_a_broken_recipe_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_recipe(str(path))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("low", "high", "words", "message"),
    [
        ("seed: 1", "base: low.yaml\nloss:\n  sub: x", [], "{high}:3: loss.sub: got 'x'"),
        ("loss:\n\n  sub: x", "base: low.yaml", [], "{low}:3: loss.sub: got 'x'"),
        ("loss: {su: 1}", "base: low.yaml", [], "{low}:1: loss: unknown key 'su'"),
        ("loss: 3", "seed: 1\nbase: low.yaml", [], "{low}:1: loss: got 3"),
        ("seed: 1", "callbacks:\n  - a.B\n  - 3", [], "{high}:3: callbacks[1]: got 3; allowed te"),
        ("seed: 1", "loss:\n  sub: 1", ["loss.sub=x"], "command line: loss.sub: got 'x'"),
        ("seed: 1", "loss:\n  sub: 1", ["los={sub: x}"], "command line: unknown key 'los'"),
        ("seed: 1", "seed: 1\nbase: 3", [], "{high}:2: base: got '3'"),
    ],
)
def test_a_mistake_names_file_and_line(
    tmp_path: Path, low: str, high: str, words: list[str], message: str
) -> None:
    paths = {name: tmp_path / f"{name}.yaml" for name in ("low", "high")}
    paths["low"].write_text(low)
    paths["high"].write_text(high)
    with pytest.raises(InputError) as caught:
        load_recipe(str(paths["high"]), words)
    assert str(caught.value).startswith(message.format(**paths))


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'td4-psp18-cityscapes'"):
        load_recipe("td4-psp18-cityscape")
    with pytest.raises(InputError, match="nowhere.yaml: does not exist"):
        load_recipe("nowhere.yaml")
