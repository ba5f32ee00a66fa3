"""The teacher is its PSPNet; a group is what the network says of that group's channels."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tdnet import create_model, save_weights
from tdnet.checkpoints.official_layout import official_names
from tdnet.errors import InputError, WeightsError
from tdnet.network import SingleFrameNetwork
from tdnet_offline.command import main
from tdnet_offline.training.initialisation import load_single_frame
from tdnet_offline.training.teacher import GroupedTeacher, load_teacher

SIZE = (33, 65)
CHANNELS = 128  # of the small network's last layer
# (group of N, factor) that teach the paths in turn (specification, "Grouped distillation")
LESSONS = {2: [(0, 1), (1, 1)], 4: [(0, 4), (2, 4), (1, 4), (3, 4)]}


@pytest.fixture(scope="module")
def network() -> SingleFrameNetwork:
    """With statistics in its norms that are not those of a new network."""
    torch.manual_seed(3)
    network = create_model("psp18-nano", num_classes=5, input_size=SIZE)
    assert isinstance(network, SingleFrameNetwork)
    network.train()
    with torch.no_grad():
        for seed in range(3):
            network(frames(seed))
    return network.eval()


def frames(seed: int) -> torch.Tensor:
    return torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(seed))


def seen_by(group: int, groups: int) -> torch.Tensor:
    """One for each input channel of the whole 3x3 convolution that the group sees, else zero."""
    seen = torch.zeros(2 * CHANNELS)
    starts = [0, *(CHANNELS + branch * CHANNELS // 4 for branch in range(4))]
    for start, width in zip(starts, [CHANNELS, *[CHANNELS // 4] * 4], strict=True):
        first = start + group * width // groups
        seen[first : first + width // groups] = 1
    return seen


def of_one_group(
    network: SingleFrameNetwork, group: int, groups: int, factor: int
) -> SingleFrameNetwork:
    """The network with a 3x3 convolution that sees one group only, that many times larger."""
    masked = copy.deepcopy(network)
    masked.head.conv.conv.weight.data *= factor * seen_by(group, groups)[:, None, None]
    return masked


@pytest.mark.parametrize("groups", [2, 4])
def test_the_teacher_is_its_network_and_its_groups_are_parts_of_it(
    groups: int, network: SingleFrameNetwork
) -> None:
    taught = GroupedTeacher(network, groups)(frames(9))
    with torch.no_grad():
        torch.testing.assert_close(taught.full, network(frames(9)))
        assert len(taught.groups) == groups
        for logits, (group, factor) in zip(taught.groups, LESSONS[groups], strict=True):
            expected = of_one_group(network, group, groups, factor)(frames(9))
            torch.testing.assert_close(logits, expected)


def test_a_teacher_never_learns(network: SingleFrameNetwork) -> None:
    teacher = GroupedTeacher(network, 4)
    before = copy.deepcopy(teacher.state_dict())
    torch.nn.ModuleList([teacher]).train()
    taught = teacher(frames(9))
    assert not taught.full.requires_grad
    assert not any(item.requires_grad for item in teacher.parameters())
    assert not any(module.training for module in teacher.modules())
    for name, item in teacher.state_dict().items():
        assert torch.equal(item, before[name]), name


def test_a_teacher_takes_frames_of_any_size(network: SingleFrameNetwork) -> None:
    taught = GroupedTeacher(network, 2)(torch.zeros(1, 3, 49, 40))
    assert taught.full.shape == (1, 5, 7, 5)


@pytest.mark.parametrize("groups", [1, 3])
def test_other_groups_are_refused(groups: int, network: SingleFrameNetwork) -> None:
    with pytest.raises(InputError, match=f"{groups} groups; allowed are 2 and 4"):
        GroupedTeacher(network, groups)


class TestLoading:
    @pytest.fixture
    def weights(self, network: SingleFrameNetwork, tmp_path: Path) -> Path:
        save_weights(network, tmp_path / "single.safetensors")
        return tmp_path / "single.safetensors"

    def published(self, network: SingleFrameNetwork, groups: int) -> dict[str, torch.Tensor]:
        """The state of a published teacher, with noise where its training code does not look."""
        own = network.state_dict()
        names = official_names(network.variant, own)
        official = {theirs: own[ours] for ours, theirs in names.items()}
        state = {name: item for name, item in official.items() if name.startswith("pretrained")}
        whole = official["head.conv5.1.weight"]
        for group in range(groups):
            columns = torch.nonzero(seen_by(group, groups))[:, 0]
            state[f"group{group + 1}.conv5.0.weight"] = whole[:, columns]
            for name, item in official.items():
                if name.startswith("head.conv5.0."):
                    noise = torch.full_like(item, 7) if item.dim() > 0 else item
                    if item.dim() > 0:
                        rows = len(item) // groups
                        part = slice(group * rows, (group + 1) * rows)
                        noise[part] = item[part]
                    state[name.replace("head.conv5.0", f"psp{group + 1}")] = noise
        for name, item in official.items():
            for single, teacher in (("head.conv5.2.", "head.conv5.0."), ("5.5.", "5.3.")):
                if single in name:
                    state[name.replace(single, teacher)] = item
        state["pretrained.fc.bias"] = torch.zeros(1000)
        return {f"module.{name}": item.clone() for name, item in state.items()}

    @pytest.mark.parametrize("file_groups", [0, 2, 4])
    def test_every_layout_gives_the_same_teacher(
        self, file_groups: int, network: SingleFrameNetwork, weights: Path, tmp_path: Path
    ) -> None:
        path = weights
        if file_groups == 2:
            path = tmp_path / "teacher.safetensors"
            save_file(self.published(network, 2), path)
        elif file_groups == 4:
            path = tmp_path / "teacher.pkl"
            torch.save({"model_state": self.published(network, 4), "epoch": 3}, path)
        spoken = load_teacher(path, groups=4, num_classes=5)(frames(9))
        expected = GroupedTeacher(network, 4)(frames(9))
        assert torch.equal(spoken.full, expected.full)
        assert all(map(torch.equal, spoken.groups, expected.groups))

    def test_a_teacher_of_other_classes_is_refused(self, weights: Path) -> None:
        with pytest.raises(WeightsError, match="has 5 classes, the network to be taught 19"):
            load_teacher(weights, groups=4, num_classes=19)

    def test_a_published_teacher_with_parts_missing_is_refused(
        self, network: SingleFrameNetwork, tmp_path: Path
    ) -> None:
        path, state = tmp_path / "teacher.safetensors", self.published(network, 4)
        del state["module.psp3.conv2.0.weight"]
        save_file(state, path)
        with pytest.raises(WeightsError, match="holds no known network"):
            load_teacher(path, groups=4, num_classes=5)

    def test_broken_numbers_are_refused(self, network: SingleFrameNetwork, tmp_path: Path) -> None:
        path, state = tmp_path / "teacher.safetensors", self.published(network, 2)
        state["module.group2.conv5.0.weight"][2, 3, 1, 1] = float("nan")
        save_file(state, path)
        with pytest.raises(WeightsError, match=r"head\.conv\.conv\.weight holds NaN"):
            load_teacher(path, groups=4, num_classes=5)

    def test_a_network_of_paths_is_no_teacher(self, tmp_path: Path) -> None:
        save_weights(create_model("td4-psp18-nano", input_size=SIZE), tmp_path / "a.safetensors")
        with pytest.raises(WeightsError, match="holds td4-psp18-nano; give the weights of a sin"):
            load_teacher(tmp_path / "a.safetensors", groups=4, num_classes=19)

    def test_a_published_teacher_converts_to_its_network(
        self, network: SingleFrameNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path, written = tmp_path / "teacher.safetensors", tmp_path / "out.safetensors"
        save_file(self.published(network, 4), path)
        assert main(["info", str(path)]) == 0
        assert "psp18-nano" in capsys.readouterr().out
        assert main(["convert", str(path), str(written), "--variant", "psp18-nano"]) == 0
        converted = load_single_frame(written).state_dict()
        for name, item in network.state_dict().items():
            assert torch.equal(converted[name], item), name
