"""`tdnet info` lists the variants with their costs and describes weights files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tdnet import ClassMap, create_model, get_variant, list_variants, save_weights
from tdnet_offline.command import main


def test_lists_every_variant_with_its_cost(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["info"]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split()[:5] == ["variant", "input", "parameters", "GMAC", "memory"]
    assert [row.split()[0] for row in rows] == list_variants()
    (row,) = (row for row in rows if row.startswith("psp101 "))
    assert row.split()[1:9] == ["769", "x", "1537", "65.71", "M", "1195.5", "0.00", "MiB"]


def test_costs_follow_the_input_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--input-size", "257", "513"]) == 0
    for row in capsys.readouterr().out.splitlines()[1:]:
        if row.split()[0] in list_variants():
            size = get_variant(row.split()[0]).fitting_size((257, 513))
            assert row.split()[1:4] == [str(size[0]), "x", str(size[1])]
            assert float(row.split()[6]) < 200


def test_describes_our_own_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my weights ü.safetensors"
    model = create_model("td4-psp18-nano", num_classes=11, input_size=(65, 129))
    class_map = ClassMap.load("camvid")
    save_weights(model, path, class_map=class_map, extra={"trained on": "seeds 0 to 9"})
    assert main(["info", str(path)]) == 0
    facts = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    values = {name: value.strip() for name, value in facts.items()}
    assert values["file"] == f"{path} (safetensors, tdnet names)"
    assert values["variant"] == "td4-psp18-nano"
    assert values["classes"] == "11 (class map camvid)"
    assert values["made for"] == "65 x 129"
    assert values["trained on"] == "seeds 0 to 9"
    assert values["cost"].endswith("at 65 x 129")


def test_describes_a_file_of_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    assert main(["info", str(tmp_path / "other.pth")]) == 0
    output = capsys.readouterr().out
    assert "none of the known ones" in output
    assert "GMAC" not in output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.pkl"], "none.pkl: does not exist"),
        (["text.pkl"], "text.pkl"),
        (["--input-size", "3", "3"], "input size 3 x 3"),
        (["--input-size", "a", "b"], "invalid int value: 'a'"),
    ],
    ids=["missing", "damaged", "too small", "no number"],
)
def test_a_mistake_is_one_line_and_exit_status_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.pkl").write_text("no weights")
    try:
        status = main(["info", *words])
    except SystemExit as error:
        status = int(str(error.code))
    captured = capsys.readouterr()
    assert status == 2
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
