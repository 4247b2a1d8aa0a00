import io
import json
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import wandb
from tqdm import tqdm

from unetsep.cli import UnetsepCLI
from unetsep.training.records import WandbRun


def inspect(part: Path, *options: str) -> str:
    """A part of a run, or the newest one in a folder `wandb`, as Weights & Biases' own reader prints it."""
    wandb.teardown()  # until then the service holds files back
    program = shutil.which("wandb") or str(Path(sys.executable).with_name("wandb"))
    arguments = [program, "leet", "inspect", "--json", *options, str(part)]
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout


def history(run: Path, key: str) -> list[float]:
    records = [json.loads(line) for line in inspect(run / "wandb").splitlines()]
    items = [record["history"]["item"] for record in records if record["type"] == "history"]
    return [item[key] for item in items if key in item]


@pytest.fixture
def listened(config: dict[str, Any]) -> dict[str, Any]:
    names = {"name": "a trial", "group": "a sweep", "tags": ["shallow"]}
    return {**config, **names, "wandb": "offline", "listening": {"tracks": 1, "seconds": 1.0, "every": 0}}


def test_the_offline_run_holds_config_losses_scores_cost_sounds_and_pictures(listened, tmp_path):
    best = UnetsepCLI(args=listened, run=False).fit()
    run = tmp_path / "run"
    found = json.loads(inspect(run / "wandb", "--summary"))
    assert (found["name"], found["tags"], found["state"]) == ("a trial", ["shallow"], "finished")
    assert found["config"]["group"] == "a sweep"
    assert found["config"]["model"]["separator"]["init_args"]["net"]["init_args"]["depth"] == 2

    assert len(history(run, "train/loss")) == 9
    for source in ("vocals", "drums", "bass", "other"):
        assert len(history(run, f"val/usdr/{source}")) == 3
        assert f"val/csdr/{source}" in found["summary"]
    assert max(history(run, "val/usdr")) == pytest.approx(best["val/usdr"])

    summary = found["summary"]
    card = {"params", "gmacs_per_second", "depth", "receptive_field_seconds", "receptive_field_hz", "peak_memory_mb"}
    assert {f"cost/{name}" for name in card | {"rtf_cpu"}} <= summary.keys()
    assert summary["cost/depth"] == 2
    assert summary["best/usdr"] == pytest.approx(best["val/usdr"])

    sounds = {key: entry for key, entry in summary.items() if key.startswith("audio/five/")}
    stems = {
        f"{source}_{kind}" for source in ("vocals", "drums", "bass", "other") for kind in ("estimate", "reference")
    }
    assert {key.removeprefix("audio/five/") for key in sounds} == stems | {"mixture"}
    pictures = {key: entry for key, entry in summary.items() if key.startswith("pictures/five/")}
    assert {key.removeprefix("pictures/five/") for key in pictures} == {"spectrograms", "segmentation"}
    files = Path(found["file"]).parent / "files"
    for entry in (sounds | pictures).values():
        assert (files / entry["path"]).stat().st_size == entry["size"]
        # the same sound or picture lies in the run's folder
        kind = "audio" if entry["_type"] == "audio-file" else "pictures"
        assert entry["size"] in {path.stat().st_size for path in (run / kind).iterdir()}


def test_every_training_in_a_process_has_its_own_run_and_a_stopped_one_keeps_its_own(listened, tmp_path):
    listened["listening"]["tracks"] = 0
    for name in ("one", "two"):
        UnetsepCLI(args={**listened, "out": str(tmp_path / name)}, run=False).fit()
    longer = {**listened["trainer"], "max_epochs": 4}
    UnetsepCLI(args={**listened, "out": str(tmp_path / "one"), "resume": True, "trainer": longer}, run=False).fit()
    wandb.teardown()
    files = {name: (tmp_path / name).glob("wandb/offline-run-*/run-*.wandb") for name in ("one", "two")}
    ids = {name: [path.stem for path in paths] for name, paths in files.items()}
    assert len(ids["one"]) == 2
    assert len(set(ids["one"])) == len(set(ids["two"])) == 1
    assert ids["one"][0] not in ids["two"]
    assert wandb.run is None


def test_parts_that_begin_in_one_second_have_the_same_id(tmp_path):
    for _ in range(4):
        part = WandbRun(tmp_path, mode="offline", name="quick")
        part.log_metrics({"score": 1.0}, step=0)
        part.finalize("success")
    files = list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))
    assert (len(files), len({path.name for path in files})) == (4, 1)


def test_a_run_without_weights_and_biases_leaves_its_own_record_only(config, tmp_path):
    UnetsepCLI(args=config, run=False).fit()
    assert not (tmp_path / "run" / "wandb").exists()
    assert (tmp_path / "run" / "metrics.jsonl").is_file()


def test_the_first_line_of_the_record_is_the_cost_and_the_learning_rate_warms_up_and_falls(config):
    config["model"] |= {"warmup_steps": 3, "schedule": "cosine"}
    command = UnetsepCLI(args=config, run=False)
    command.fit()
    first, *lines = command.record.lines()
    assert first["cost/params"] == sum(parameter.numel() for parameter in command.model.separator.parameters())
    rates = [line["train/learning_rate"] for line in lines if "train/learning_rate" in line]
    assert rates[:3] == pytest.approx([0.0025, 0.005, 0.0075])
    assert rates[3] == pytest.approx(0.01)
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert rates[6] == pytest.approx(0.005)  # half-way between the warm-up's end and the last step


def test_nothing_but_errors_is_said_where_no_progress_is_wanted(config, capfd):
    UnetsepCLI(args={**config, "wandb": "offline"}, run=False).fit()
    said = capfd.readouterr()
    assert said.out == said.err == ""


def test_progress_is_a_line_for_each_validation_and_the_best_at_the_end(config, capfd):
    config["trainer"]["enable_progress_bar"] = True
    UnetsepCLI(args={**config, "wandb": "offline"}, run=False).fit()
    said = capfd.readouterr()
    assert [line.split("  ")[0] for line in said.err.splitlines()[1:]] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert said.out.startswith("best val/usdr ")
    assert "dB" in said.err.splitlines()[1]
    assert "\r" not in said.err  # no bar where there is no terminal


def test_the_bar_on_a_terminal_is_tidy(config, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    config["trainer"] |= {"enable_progress_bar": True, "max_epochs": 1}
    monkeypatch.setattr("unetsep.training.progress.tqdm", partial(tqdm, mininterval=0))  # draws every step
    UnetsepCLI(args=config, run=False).fit()
    drawn = terminal.getvalue()
    assert " ," not in drawn
    assert re.search(r"epoch 1/1 \S.* 2/3, loss \d\.\d{4}  \d\d:\d\d", drawn)


def test_the_scores_of_every_track_lie_beside_the_numbers_of_each_validation(config, tmp_path):
    command = UnetsepCLI(args=config, run=False)
    best = command.fit()
    lines = [json.loads(line) for line in (tmp_path / "run" / "tracks.jsonl").read_text().splitlines()]
    assert [(line["stage"], line["epoch"], line["step"]) for line in lines] == [
        ("val", 0, 3),
        ("val", 1, 6),
        ("val", 2, 9),
    ]
    tracks = lines[best["epoch"]]["tracks"]
    assert set(tracks) == {"four", "five"}
    assert tracks["five"]["usdr"]["other"] is None  # it has none
    vocals = sum(track["usdr"]["vocals"] for track in tracks.values()) / 2
    assert vocals == pytest.approx(best["val/usdr/vocals"], abs=1e-5)
    assert not any("isr" in name for name in best)  # a validation is fast


def test_a_test_takes_all_measures_and_leaves_the_training_records_alone(config, tmp_path):
    command = UnetsepCLI(args=config, run=False)
    command.fit()
    logged = (tmp_path / "run" / "tracks.jsonl").read_text()
    scores = UnetsepCLI(args=config, run=False).test()
    for measure in ("usdr", "csdr", "isr", "sir", "sar"):
        stems = [scores[f"test/{measure}/{source}"] for source in ("vocals", "drums", "bass", "other")]
        assert scores[f"test/{measure}"] == pytest.approx(sum(stems) / 4, abs=1e-4)
    assert (tmp_path / "run" / "tracks.jsonl").read_text() == logged
    [line] = (tmp_path / "run" / "evaluated_tracks.jsonl").read_text().splitlines()
    six = json.loads(line)["tracks"]["six"]
    assert six["sir"]["bass"] == pytest.approx(scores["test/sir/bass"], abs=1e-4)


def test_a_run_that_stopped_and_went_on_has_the_same_scores_by_track_each_once(config, tmp_path):
    config["model"]["schedule"] = "constant"  # which does not depend on where a training is to end
    UnetsepCLI(args=config, run=False).fit()
    stopped = {**config, "out": str(tmp_path / "stopped")}
    UnetsepCLI(args={**stopped, "trainer": {**config["trainer"], "max_epochs": 2}}, run=False).fit()
    with (tmp_path / "stopped" / "tracks.jsonl").open("a") as file:  # as if it had been killed after a validation
        file.write('{"stage": "val", "step": 9, "epoch": 2, "tracks": {}}\n{"stage"')
    UnetsepCLI(args={**stopped, "resume": True}, run=False).fit()
    one, other = ((tmp_path / run / "tracks.jsonl").read_text() for run in ("run", "stopped"))
    assert [json.loads(line)["epoch"] for line in other.splitlines()] == [0, 1, 2]
    assert one == other
