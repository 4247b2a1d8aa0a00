import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from unetsep.__main__ import main

VERBS = ("fit", "validate", "test", "predict", "sweep", "report", "separate", "export", "evaluate", "cost", "data")


def test_help_lists_every_verb_and_loads_nothing_that_takes_time():
    script = (
        "import sys; from unetsep.__main__ import main; main(['--help']); print({'torch', 'numpy'} & set(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert printed.splitlines()[-1] == "set()"
    for verb in VERBS:
        assert f"\n  {verb} " in printed


def test_an_unknown_verb_is_refused_with_the_verbs_there_are(capsys):
    assert main(["fti"]) == 2
    assert capsys.readouterr().err == f"unetsep: there is no verb 'fti'; there are {', '.join(VERBS)}\n"


def test_what_the_user_gave_wrong_is_one_line_and_exit_code_2(capsys, tmp_path: Path):
    assert main(["fit", "--data.rot", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("unetsep: ")
    assert "--data.rot" in error
    assert error.count("\n") == 1


def test_a_missing_argument_is_named_as_it_must_be_given(capsys):
    assert main(["fit"]) == 2
    assert "required: data.root" in capsys.readouterr().err


def test_a_loss_that_becomes_nan_has_its_own_exit_code(capsys, monkeypatch):
    from unetsep.training.module import NonFiniteLossError

    def diverge(args: object) -> None:
        raise NonFiniteLossError("the loss is nan")

    monkeypatch.setattr("unetsep.cli.run_cli", diverge)
    assert main(["fit"]) == 3
    assert capsys.readouterr().err == "unetsep: the loss is nan\n"


def test_a_training_that_diverges_ends_with_exit_code_3_and_says_so_in_one_line(capsys, config, tmp_path: Path):
    config["model"]["optimizer"] = {"class_path": "SGD", "init_args": {"lr": 1e38}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    assert main(["fit", f"--config={tmp_path / 'config.yaml'}"]) == 3
    error = capsys.readouterr().err
    assert error.startswith("unetsep: the loss is nan in epoch 0, step 1")
    assert error.count("\n") == 1


def test_a_training_stopped_by_ctrl_c_ends_with_exit_code_130(capsys, config, tmp_path: Path, monkeypatch):
    from unetsep.training.module import SeparationModule

    def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(SeparationModule, "on_train_epoch_end", interrupt)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    assert main(["fit", f"--config={tmp_path / 'config.yaml'}"]) == 130
    assert capsys.readouterr().err == "unetsep: stopped\n"


def test_ctrl_c_is_one_line_and_exit_code_130(capsys, monkeypatch):
    def interrupted(args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("unetsep.cli.run_cli", interrupted)
    assert main(["fit"]) == 130
    assert capsys.readouterr().err == "unetsep: stopped\n"


def test_a_bug_keeps_its_traceback(monkeypatch):
    def broken(args: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("unetsep.cli.run_cli", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["fit"])


def test_cost_shows_the_network_and_its_card_without_data(capsys):
    net = ["--model.separator.net=UNet", "--model.separator.net.depth=2", "--model.separator.net.width=3"]
    small = ["--model.separator.sample_rate=8000", "--model.separator.n_fft=256", "--model.separator.hop=64"]
    assert main(["cost", *net, *small]) == 0
    printed = capsys.readouterr().out
    assert "UNet(" in printed
    for name in ("params", "gmacs_per_second", "depth", "receptive_field_seconds", "rtf_cpu", "peak_memory_mb"):
        assert f"cost/{name}" in printed
