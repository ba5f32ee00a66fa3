"""`tdnet evaluate` as people call it: table, report, comparison, bags, mistakes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.evaluations import without_times
from support.media import damage_bag, drive, folder_of, raw_message, write_bag

from tdnet import ClassMap
from tdnet_offline.command import main
from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.evaluation_file import load_evaluation

STREET = "street:40@64x96,frames=5"
SECOND = 10**9

Evaluate = Callable[..., int]


@pytest.fixture
def evaluate(weights: Path) -> Evaluate:
    """Runs the command in this process, with the small network over PyTorch."""

    def run(*words: str | Path) -> int:
        options = ["--weights", weights, "--device", "cpu", "--runtime", "torch"]
        return main([str(word) for word in ["evaluate", *words, *options]])

    return run


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight images, 50 ms apart, of which the third cannot be decoded; labels for two of them."""
    messages = []
    for index, image in enumerate(drive(8)):
        lies = {"encoding": "nonsense"} if index == 2 else {}
        messages.append(("/image", raw_message(image, index * SECOND // 20, **lies)))
        if index in (4, 5):
            labels = np.full(image.shape[:2], index, np.uint8)
            lies = {"encoding": "mono8", "step": labels.shape[1], "data": labels.reshape(-1)}
            messages.append(("/labels", raw_message(image, index * SECOND // 20, **lies)))
    return write_bag(tmp_path_factory.mktemp("bags") / "drive", messages)


def rows(text: str) -> dict[str, list[str]]:
    """The table's rows: name, and what each run has."""
    lines = [line.split("  ") for line in text.splitlines()]
    parts = [[word.strip() for word in line if word.strip()] for line in lines]
    return {line[0]: line[1:] for line in parts if len(line) > 1}


def test_table_and_files(
    evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(STREET, "--report", tmp_path / "report", "--worst", "1") == 0
    table = rows(capsys.readouterr().out)
    found = load_evaluation(tmp_path / "report" / "evaluation.json")
    assert table["source"] == [STREET]
    assert table["frames"] == ["5, 5 labelled"]
    assert table["mIoU"][0].endswith(" %")
    assert {f"mIoU, path {path}" for path in range(4)} <= set(table)
    assert {"road", "total", "boundary F-score", "temporal consistency"} <= set(table)
    assert "dropped" not in table
    assert len(found.frames) == 5
    files = {path.relative_to(tmp_path / "report").as_posix() for path in tmp_path.rglob("*.*")}
    pictures = {f"worst/1_{name}" for name in ("image.jpg", "truth.png", "prediction.png")}
    assert files == {"evaluation.json", "report.html", *pictures}


def test_exported_graphs_are_named_by_their_description(
    exported_nano: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [STREET, "--provider", "cpu", "--weights", exported_nano, "--device", "cpu"]
    report = ["--report", tmp_path, "--worst", "0"]
    assert main([str(word) for word in ["evaluate", *words, *report]]) == 0
    setting = load_evaluation(tmp_path / "evaluation.json").setting
    digest = hashlib.sha256((exported_nano / "export.json").read_bytes()).hexdigest()
    assert (setting.weights, setting.weights_sha256) == ("nano", digest)
    assert (setting.precision, setting.input_size) == ("float32", (65, 129))
    assert setting.runtime == "onnxruntime:cpu"
    assert rows(capsys.readouterr().out)["device"] == ["cpu, float32, onnxruntime:cpu"]


def test_a_bag_with_labels_for_some_frames(
    evaluate: Evaluate, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [bag, "--topic", "/image", "--label-topic", "/labels", "--report", tmp_path]
    assert evaluate(*words) == 1  # for the frame that cannot be decoded
    found = load_evaluation(tmp_path / "evaluation.json")
    assert found.refused == {"drive": 1}
    assert [frame.index for frame in found.frames] == [0, 1, 3, 4, 5, 6, 7]
    labelled = [frame.index for frame in found.frames if frame.pixel_accuracy is not None]
    assert labelled == [4, 5]
    assert set(found.confusions) == {(3, 3), (0, 3)}
    assert found.setting.source == str(bag)
    told = capsys.readouterr()
    assert rows(told.out)["refused"] == ["1"]
    assert re.search(r"^tdnet: refused drive frame 2: .*nonsense", told.err)


def test_a_bag_without_labels_has_consistency(
    evaluate: Evaluate, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(bag, "--topic", "/image", "--report", tmp_path) == 1
    table = rows(capsys.readouterr().out)
    assert table["frames"] == ["7, 0 labelled"]
    assert "temporal consistency" in table
    assert "total" in table
    assert not {"mIoU", "road", "boundary F-score"} & set(table)


def test_paced(
    evaluate: Evaluate, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topics = ["--topic", "/image", "--label-topic", "/labels"]
    assert evaluate(bag, *topics, "--paced", "--report", tmp_path) == 1
    found = load_evaluation(tmp_path / "evaluation.json")
    assert found.setting.mode == "paced"
    assert len(found.frames) + found.dropped["drive"] == 7
    assert all(frame.age_ms is not None for frame in found.frames)
    assert found.available is not None
    assert {"dropped", "due to labels", "clock waited"} <= set(rows(capsys.readouterr().out))


def test_controls_are_shown_and_kept(
    evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [STREET, "street:41@64x96,frames=5"]
    controls = ["--memory", "foreign", "--damage", "stripe=0.3", "--seed", "4"]
    assert evaluate(*sources, *controls, "--report", tmp_path) == 0
    table = rows(capsys.readouterr().out)
    assert table["memory"] == ["foreign"]
    assert table["damage"] == ["stripe=0.3, seed 4"]
    assert "the memory is worth" not in table
    setting = load_evaluation(tmp_path / "evaluation.json").setting
    assert (setting.memory, setting.damage, setting.seed) == ("foreign", "stripe=0.3", 4)


def test_a_report_says_what_withholding_costs(
    evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(STREET, "--report", tmp_path) == 0
    table = rows(capsys.readouterr().out)
    found = load_evaluation(tmp_path / "evaluation.json").withheld_memory
    assert found is not None
    assert table["frames with labels and full memory"] == ["2"]
    used, withheld = (metrics.mean_iou(counts) for counts in (found.used, found.withheld))
    assert table["mIoU of these"] == [f"{100 * used:.2f} %"]
    assert table["mIoU without the memory"] == [f"{100 * withheld:.2f} %"]
    assert table["the memory is worth"] == [f"{100 * (used - withheld):+.2f} points"]
    assert table["labels that it changes"] == [f"{100 * found.changed / found.pixels:.2f} %"]

    assert evaluate(STREET) == 0  # without a report, nothing is segmented twice
    assert "the memory is worth" not in rows(capsys.readouterr().out)


def test_controls_over_another_runtime(
    exported_nano: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = ["--provider", "cpu", "--weights", exported_nano, "--device", "cpu"]
    words = ["evaluate", STREET, "--memory", "none", *network, "--report", tmp_path]
    assert main([str(word) for word in words]) == 0
    found = load_evaluation(tmp_path / "evaluation.json")
    assert (found.setting.runtime, found.setting.memory) == ("onnxruntime:cpu", "none")
    assert {fill for _, fill in found.confusions} == {0}


def test_runs_side_by_side(
    evaluate: Evaluate, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert evaluate(STREET, "--report", one) == 0
    assert (
        evaluate(STREET, "--stagger", "--report", two, "--compare", one / "evaluation.json") == 0
    )
    capsys.readouterr()
    files = [str(path / "evaluation.json") for path in (one, two)]
    assert main(["evaluate", "--compare", *files, "--report", str(tmp_path / "both")]) == 0
    shown = capsys.readouterr()
    table = rows(shown.out)
    assert "warning" not in shown.err
    assert len(table["mIoU"]) == 2
    assert [path.name for path in (tmp_path / "both").iterdir()] == ["report.html"]
    # A run's own file holds that run alone.
    assert without_times(load_evaluation(two / "evaluation.json")) == without_times(
        load_evaluation(one / "evaluation.json")
    )


def test_runs_of_different_sources_are_warned_about(
    evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(STREET, "--report", tmp_path) == 0
    other = "street:41@64x96,frames=2"
    capsys.readouterr()
    assert evaluate(other, "--compare", tmp_path / "evaluation.json") == 0
    warned = capsys.readouterr().err
    assert f"warning: The evaluations are of different sources ({other}" in warned
    assert STREET in warned


def test_two_sources_count_together(
    evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(STREET, "street:41@64x96,frames=2", "--report", tmp_path) == 0
    found = load_evaluation(tmp_path / "evaluation.json")
    assert [frame.video for frame in found.frames] == ["street40"] * 5 + ["street41"] * 2


def test_names_from_files_do_nothing_to_the_terminal(
    evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(STREET, "--report", tmp_path) == 0
    path = tmp_path / "evaluation.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["setting"]["weights"] = "\x1b[2J[bold red]boo"
    path.write_text(json.dumps(document), encoding="utf-8")
    capsys.readouterr()
    assert main(["evaluate", "--compare", str(path)]) == 0
    assert rows(capsys.readouterr().out)["weights"] == [r"\x1b[2J[bold red]boo"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to evaluate; give a data set or a bag"),
        (["nowhere"], "nowhere: there is nothing at this path"),
        (["strete:1-2"], "unknown data set 'strete'.*Did you mean 'street'"),
        (["street:1-2", "--split", "vall"], "unknown split 'vall'"),
        (["street:1-2", "--paced", "--every-frame"], "not allowed with"),
        (["street:1-2", "--worst", "-1"], "--worst"),
        (["street:1-2", "--topic", "/image"], "only a bag has topics"),
        (["street:1@64x96,frames=1", "--class-map", "camvid"], "use a class map of 19"),
        (["--compare", "none.json"], "none.json: "),
        (["street:1@64x96,frames=1", "street:1@64x96,frames=1"], "is given twice"),
        (["street:1-2", "--memory", "half"], "--memory.*'half'.*full.*none.*foreign"),
        (["street:1@64x96,frames=4", "--memory", "foreign"], "the source has 1 with frames; give"),
        (["street:1-2@64x96,frames=1", "--memory", "foreign"], "is a single frame"),
        (["street:1-2", "--damage", "stripe=1"], "damage stripe=1; allowed are 0 to 0.9"),
        (["street:1-2", "--damage", "noise=-1"], "damage noise=-1; allowed are 0 to 255"),
        (["street:1-2", "--damage", "fog"], "'fog'; allowed are none, stripe=SHARE and noise="),
        (["street:1-2", "--seed", "-1"], "--seed"),
    ],
    ids=[
        *("nothing", "no bag", "no data set", "no split", "two modes", "worst", "topic"),
        *("other classes", "no json", "twice", "memory", "one video", "single frames"),
        *("stripe", "noise", "damage", "seed"),
    ],
)
def test_mistakes_are_one_line_and_exit_status_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(["evaluate", "--runtime", "torch", *words])
    except SystemExit as stop:  # from the parser of the command line
        status = int(str(stop.code))
    text = capsys.readouterr()
    assert status == 2
    assert text.out == ""
    assert text.err.count("\n") == 1
    assert re.search(message, text.err)


def test_a_source_without_stamps_cannot_be_paced(
    evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder_of(tmp_path / "frames" / "v", drive(2))
    text = ClassMap.load("cityscapes").to_yaml()
    (tmp_path / "class_map.yaml").write_text(text, encoding="utf-8")
    assert evaluate(f"folder:{tmp_path}", "--paced") == 2
    error = capsys.readouterr().err
    assert "has no stamp" in error
    assert error.count("\n") == 1


def test_a_place_that_cannot_be_written_to_is_found_out_first(
    evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert evaluate(STREET, "--report", tmp_path / "file") == 2
    text = capsys.readouterr()
    assert text.out == ""  # nothing was evaluated
    assert "file: File exists" in text.err


def test_a_folder_that_takes_no_file_is_found_out_first(
    evaluate: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(STREET, "--report", "/proc/self") == 2
    text = capsys.readouterr()
    assert text.out == ""  # nothing was evaluated
    assert text.err.startswith("tdnet: /proc/self: ")
    assert text.err.count("\n") == 1


def test_topics_are_those_of_the_bags(evaluate: Evaluate, bag: Path, tmp_path: Path) -> None:
    words = ["--topic", "/image", "--label-topic", "/labels", "--report", tmp_path]
    assert evaluate(bag, STREET, *words) == 1  # for the frame that cannot be decoded
    found = load_evaluation(tmp_path / "evaluation.json")
    assert {frame.video for frame in found.frames} == {"drive", "street40"}


def test_a_damaged_bag_counts_as_one_refused_frame(
    evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_bag(
        tmp_path / "drive",
        [("/image", raw_message(image, i * SECOND // 20)) for i, image in enumerate(drive(40))],
    )
    damage_bag(bag, drive(40)[20].tobytes())
    assert evaluate(bag, "--report", tmp_path) == 1
    found = load_evaluation(tmp_path / "evaluation.json")
    assert found.refused == {"drive": 1}
    assert len(found.frames) == 20
    assert "tdnet: refused the end of drive: the bag is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("world", ["many", "2"])
def test_half_of_what_torchrun_sets(
    evaluate: Evaluate,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    world: str,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", world)
    monkeypatch.delenv("RANK", raising=False)
    assert evaluate(STREET) == 2
    error = capsys.readouterr().err
    assert "start with torchrun, or unset it" in error
    assert error.count("\n") == 1


def test_smoothing_is_named_and_measured_apart_from_the_memory(
    evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(STREET, "--smoothing", "0.9", "--report", tmp_path) == 0
    found = load_evaluation(tmp_path / "evaluation.json")
    assert (found.setting.smoothing, found.withheld_memory) == (0.9, None)
    assert rows(capsys.readouterr().out)["smoothing"] == ["0.9"]
    assert "smoothing" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert evaluate(STREET, "--smoothing", "0.9", "--memory", "none") == 2
    assert "smoothing is 0.9 and memory is none" in capsys.readouterr().err
