"""Whole sweeps on a few seconds of music."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

from unetsep.audio.files import InputError
from unetsep.cli import UnetsepCLI
from unetsep.report import read_run
from unetsep.sweep import main
from unetsep.sweep.document import read_yaml, write_yaml
from unetsep.sweep.trial import CommandLine
from unetsep.sweep.trials import Outcome

NET = "model.separator.init_args.net.init_args"
QUESTION = """
question: Does it work?
base: tiny.yaml
trials: 2
seed: 4
overrides: {trainer.max_epochs: 1}
space:
  model.separator.init_args.net.init_args.depth: {int: [1, 3]}
  model.separator.init_args.net.init_args.skip_at: {per_level: {choice: [Concat, Drop]}}
  model.optimizer.init_args.lr: {float: [1e-4, 1e-2], log: true}
"""


@pytest.fixture
def question(config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    del config["out"], config["trainer"]["enable_progress_bar"]
    config["model"]["separator"]["init_args"]["net"] = {"class_path": "UNet", "init_args": {"width": 4}}
    write_yaml(tmp_path / "tiny.yaml", config)
    (tmp_path / "question.yaml").write_text(QUESTION)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "question.yaml"


def untrained(command: CommandLine, config: Any, folder: Path, stop: Any, watch: Any) -> Outcome:
    folder.mkdir(parents=True, exist_ok=True)
    write_yaml(folder / "config.yaml", config)
    return Outcome({"val/usdr": float(folder.name)}, 0)


def test_a_sweep_leaves_all_that_its_folder_should_hold(question: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = main([str(question)])
    assert run == Path("runs/question")
    said = capsys.readouterr().out
    assert "Does it work?" in said
    assert "the floor, one fixed frequency mask per stem and no network: usdr" in said
    assert "trial 0000 (1/2): " in said
    assert "0001 complete: val/usdr " in said
    assert said.rstrip().endswith("done: 2 trials trained, all in runs/question")
    assert "; the ideal ratio mask, which knows the stems: usdr" in said
    kept = {"study.db", "sweep.yaml", "floor.json", "mixture.json", "oracle.json", "trials", "pareto"}
    assert kept <= {path.name for path in run.iterdir()}
    for number in range(2):
        folder = run / "trials" / f"{number:04d}"
        result = json.loads((folder / "result.json").read_text())
        assert result["state"] == "complete"
        assert (folder / "checkpoints" / "best.ckpt").is_file()
        assert len(json.loads((folder / "unet.json").read_text())) == result["cost"]["depth"] + 1
        held = yaml.safe_load((folder / "config.yaml").read_text())
        net = held["model"]["separator"]["init_args"]["net"]["init_args"]
        assert net["depth"] == result["params"][f"{NET}.depth"] == result["cost"]["depth"]
        assert len(net["skip_at"]) == net["depth"]


def test_the_best_trials_are_configs_that_a_training_takes(question: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = main([str(question)])
    assert "epoch" not in capsys.readouterr().err
    best = sorted((run / "pareto").iterdir())
    study = optuna.load_study(study_name="sweep", storage=f"sqlite:///{run}/study.db")
    assert [path.stem for path in best] == sorted(f"{trial.number:04d}" for trial in study.best_trials)
    score = UnetsepCLI(["fit", "--config", str(best[0]), "--out", "again"]).record.best()["val/usdr"]
    assert score == study.trials[int(best[0].stem)].values[0]
    assert "epoch" in capsys.readouterr().err  # it is trained as any config is, with its progress shown


def test_a_sweep_that_is_done_says_so_and_trains_nothing(
    question: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CommandLine, "train", untrained)
    main([str(question)])
    capsys.readouterr()
    monkeypatch.setattr(CommandLine, "__init__", lambda *_, **__: pytest.fail("there was something to do"))
    assert main([str(question)]) == Path("runs/question")
    assert capsys.readouterr().out == "runs/question is done already: 2 trials trained; --trials asks for more\n"


def test_more_trials_go_on_in_the_same_folder(question: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CommandLine, "train", untrained)
    main([str(question)])
    run = main([str(question), "--trials", "3"])
    assert sorted(path.name for path in (run / "trials").iterdir()) == ["0000", "0001", "0002"]
    assert read_yaml(run / "sweep.yaml")["trials"] == 3


def test_a_renamed_or_copied_folder_goes_on(
    question: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CommandLine, "train", untrained)
    main([str(question)])
    shutil.copytree("runs/question", "copy")
    Path("runs/question").rename("runs/renamed")
    main([str(question), "--out", "runs/renamed", "--trials", "3"])
    assert "runs/renamed holds 2 trials; going on" in capsys.readouterr().out
    main([str(question), "--out", "copy"])
    assert "copy is done already: 2 trials trained" in capsys.readouterr().out


def test_page_and_configs_agree_on_the_best_trials(question: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CommandLine, "train", untrained)
    run = main([str(question), "--trials", "4"])
    best = {path.stem for path in (run / "pareto").iterdir()}
    assert best == {f"{trial.number:04d}" for trial in read_run(run).front}
    study = optuna.load_study(study_name="sweep", storage=f"sqlite:///{run}/study.db")
    assert best == {f"{trial.number:04d}" for trial in study.best_trials}


def test_another_sweep_in_the_same_folder_is_refused(question: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CommandLine, "train", untrained)
    main([str(question), "--out", "here"])
    with pytest.raises(InputError, match="here holds another sweep, which differs in overrides; give another --out"):
        main([str(question), "--out", "here", "--trainer.max_epochs=2"])
    question.write_text(QUESTION.replace("[1, 3]", "[1, 4]"))
    with pytest.raises(InputError, match="differs in space"):
        main([str(question), "--out", "here"])
    shutil.rmtree("here/trials")
    main([str(question), "--out", "here"])  # nothing was tried there, so nothing is lost


def test_a_typo_in_the_space_is_refused_before_anything_is_written(question: Path) -> None:
    question.write_text(QUESTION.replace("net.init_args.depth", "net.init_args.dpeth"))
    with pytest.raises(InputError, match=r"question.yaml: space: .*\.dpeth .*did you mean depth"):
        main([str(question)])
    assert not Path("runs").exists()


def test_a_level_that_there_never_is_is_refused_with_file_and_key_before_anything_is_written(question: Path) -> None:
    question.write_text(QUESTION.replace("overrides: {", "overrides: {model.separator.net.skip_at.7: Drop, "))
    with pytest.raises(InputError, match=r"question.yaml: overrides: model.separator.net.skip_at.7 .*names level 7"):
        main([str(question)])
    assert not Path("runs/question/floor.json").exists()


def test_a_linked_key_is_refused_in_a_space(question: Path) -> None:
    question.write_text(QUESTION + "  data.sample_rate: {choice: [8000, 4000]}\n")
    with pytest.raises(InputError, match=r"data.sample_rate is taken from model.separator.init_args.sample_rate"):
        main([str(question)])


def test_a_sampler_that_does_not_exist_is_refused(question: Path) -> None:
    question.write_text(QUESTION + "sampler: TreeSampler\n")
    with pytest.raises(InputError, match=r"sampler: there is no TreeSampler; there are .*BruteForceSampler"):
        main([str(question)])
    question.write_text(QUESTION + "sampler: {class_path: TPESampler, init_args: {startup: 3}}\n")
    with pytest.raises(InputError, match=r"sampler: TPESampler cannot be made with \{startup: 3"):
        main([str(question)])


def test_a_sweep_needs_data(question: Path) -> None:
    tiny = read_yaml(question.parent / "tiny.yaml")
    del tiny["data"]["root"]
    write_yaml(question.parent / "tiny.yaml", tiny)
    with pytest.raises(InputError, match=r"question.yaml: no data; give --data ROOT, or describe"):
        main([str(question)])


def test_the_synthetic_set_is_made_where_it_is_missing(question: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CommandLine, "train", untrained)
    question.write_text(QUESTION + "synthetic: {train: 1, valid: 1, test: 0, seconds: 2, seed: 3}\n")
    run = main([str(question)])
    root = question.parent / "data" / "synthetic-1-1-0-2s-seed3"
    assert len(list(root.glob("*/*/vocals.wav"))) == 2
    assert read_yaml(run / "trials" / "0000" / "config.yaml")["data"]["root"] == str(root)


def test_two_sweeps_do_not_work_in_one_folder_at_once(question: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile(command: CommandLine, config: Any, folder: Path, stop: Any, watch: Any) -> Outcome:
        with pytest.raises(InputError, match="another `unetsep sweep` works on runs/question; wait for it"):
            main([str(question)])
        return untrained(command, config, folder, stop, watch)

    monkeypatch.setattr(CommandLine, "train", meanwhile)
    assert (main([str(question)]) / "trials" / "0001" / "result.json").is_file()


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(
    question: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(command: CommandLine, config: Any, folder: Path, stop: Any, watch: Any) -> Outcome:
        if folder.name == "0001":
            raise KeyboardInterrupt
        return untrained(command, config, folder, stop, watch)

    monkeypatch.setattr(CommandLine, "train", interrupted)
    with pytest.raises(SystemExit) as stop:
        main([str(question), "--out", "here"])
    assert stop.value.code == 130
    assert f"Go on with: unetsep sweep {question} --out here" in capsys.readouterr().out
    monkeypatch.setattr(CommandLine, "train", untrained)
    main([str(question), "--out", "here"])
    said = capsys.readouterr().out
    assert "here holds 2 trials; going on" in said
    assert "trial 0001 (2/2), going on where it was stopped: " in said


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_sweep_stopped_in_a_training_goes_on_with_that_trial(question: Path, how: signal.Signals) -> None:
    command = [sys.executable, "-m", "unetsep", "sweep", str(question), "--trainer.max_epochs=40"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    checkpoint = Path("runs/question/trials/0000/checkpoints/last.ckpt")
    while not checkpoint.is_file():
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        time.sleep(0.05)
    process.send_signal(how)
    said, _ = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "Go on with: unetsep sweep" in said
    assert not (checkpoint.parent.parent / "result.json").exists()
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "trial 0000 (1/2), going on where it was stopped" in again.stdout
    rows = [json.loads(line) for line in (checkpoint.parent.parent / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows if "val/usdr" in row] == list(range(40))
    assert "done: 2 trials trained" in again.stdout


def test_a_password_is_not_shown_again() -> None:
    from unetsep.sweep import _harmless

    shown = "postgresql+psycopg://me@host/studies"
    assert _harmless("postgresql+psycopg://me:secret@host/studies") == shown
    assert _harmless("--storage=postgresql+psycopg://me:secret@host/studies") == f"--storage={shown}"
    assert _harmless("--trainer.max_epochs=3") == "--trainer.max_epochs=3"
