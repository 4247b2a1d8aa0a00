"""What is wrong with a sweep's file or command line is said in one line, before anything is written or trained."""

import re
from pathlib import Path
from typing import Any

import pytest

from unetsep.__main__ import main
from unetsep.sweep.document import write_yaml
from unetsep.sweep.study import open_study
from unetsep.sweep.trial import CommandLine

NET = "model.separator.init_args.net.init_args"
SPACE = f"space: {{{NET}.depth: {{int: [1, 3]}}}}\n"
RUNGS = "rungs: {unit: epochs, first: 1, eta: 3, last: 9}\n"
ONE = "trials: 1\nbase: tiny.yaml\n"
GOOD = ONE + SPACE
LONG = "trainer.max_epochs"

BAD = {
    # the file
    "no mapping": ("- 1", "holds a list, but must hold a mapping"),
    "empty": ("", "holds nothing, but must hold a mapping"),
    "no yaml": ("trials: [1", "line 1|line 2"),
    "a key twice": (GOOD + "trials: 2", "line 4: the key trials stands twice, first in line 1"),
    "a typo in a key": (GOOD + "buget: {params: 3}", r"buget is unknown; did you mean budget\?"),
    "an unknown key": (GOOD + "whatever: 3", "whatever is unknown; there are question, base"),
    "no space": (ONE, "space: is missing"),
    "an empty space": (ONE + "space: {}", "space: is missing"),
    "no trials": ("base: tiny.yaml\n" + SPACE, "trials: is missing"),
    "no data": ("trials: 1\nspace: {model.compile: {choice: [true]}}", "no data; give --data ROOT"),
    # types
    "trials": (ONE.replace("1", "0") + SPACE, "trials: is 0, but must be a whole number, 1 or more"),
    "seed": (GOOD + "seed: 1.5", "seed: is 1.5, but must be"),
    "base": (GOOD.replace("tiny.yaml", "{a: 1}"), "base: is .*, but must be the path of a config file"),
    "a missing base": (GOOD.replace("tiny", "none"), "none.yaml cannot be read"),
    "overrides": (GOOD + "overrides: 3", "overrides: is 3, but must be a mapping"),
    "fragments": (GOOD + "fragments: 3", "fragments: is 3, but must be a mapping"),
    "synthetic": (GOOD + "synthetic: {songs: 3}", "synthetic: songs is unknown"),
    "data": (GOOD + "data: nowhere", "data: nowhere is no folder"),
    "question": (GOOD + "question: [why]", r"question: is \[why\], but must be words"),
    # the objectives and the budget
    "an unknown metric": (GOOD + "objectives: {val/sdr: maximize}", r"sdr is unknown; did you mean usdr\?"),
    "an unknown cost": (GOOD + "objectives: {cost/flops: minimize}", "flops is unknown; there are params"),
    "no measure": (GOOD + "objectives: {usdr: maximize}", "usdr is no measure"),
    "a direction": (GOOD + "objectives: {val/usdr: up}", "val/usdr is up, but must be maximize or minimize"),
    "objectives": (GOOD + "objectives: [val/usdr]", "objectives: is .*, but must be a mapping"),
    "an unknown limit": (GOOD + "budget: {param: 3}", r"budget: param is unknown; did you mean params\?"),
    "no limit": (GOOD + "budget: {params: few}", "budget: params is few, but must be a number above 0"),
    "a budget that nothing meets": (
        GOOD + "budget: {params: 10}",
        r"budget: none of \d+ configs drawn meets it; the nearest has params \d,?\d+, over 10$",
    ),
    # the space
    "an empty range": (GOOD.replace("[1, 3]", "[3, 1]"), r"depth: the range from 3 to 1 is empty"),
    "a log from 0": (ONE + "space: {model.optimizer.init_args.lr: {float: [0, 1], log: true}}", "must be above 0"),
    "a range of words": (GOOD.replace("[1, 3]", "[few, many]"), "must be two numbers"),
    "no domain": (GOOD.replace("{int: [1, 3]}", "[1, 3]"), r"\[1, 3\] describes no range; write"),
    "a typo in the space": (GOOD.replace("depth", "dpeth"), r"dpeth .*did you mean depth"),
    "a class that is none": (ONE + f"space: {{{NET}.skip: {{choice: [Concat, Concatt]}}}}", r"skip \(Concatt\)"),
    "a linked key": (ONE + "space: {data.init_args.sample_rate: {choice: [8000]}}", "sample_rate"),
    "per_level from": (
        ONE + f"space: {{{NET}.skip_at: {{per_level: {{choice: [Add]}}, from: -1}}}}",
        "from is -1, but must be the number of a level",
    ),
    "per_level within": (ONE + f"space: {{{NET}.skip_at: {{per_level: {{value: 1}}}}}}", "needs a range or a choice"),
    "per_level of nothing": (
        ONE + "space: {model.loss: {per_level: {choice: [1]}}}",
        "number of levels, but there is no",
    ),
    # the rungs
    "rungs": (GOOD + "rungs: 3", "rungs: is 3, but must be like {unit: epochs"),
    "rungs without a part": (GOOD + "rungs: {unit: epochs, first: 1, last: 9}", "rungs: is .*, but must be like"),
    "the rungs' unit": (GOOD + RUNGS.replace("epochs", "weeks"), "rungs: unit is weeks, but must be one of epochs"),
    "the first rung": (GOOD + RUNGS.replace("first: 1", "first: 0"), "rungs: first is 0, but must be a whole number"),
    "the last rung": (GOOD + RUNGS.replace("last: 9", "last: 1"), "first must be less than last"),
    "eta": (GOOD + RUNGS.replace("eta: 3", "eta: 1"), "rungs: eta is 1, but must be a number above 1"),
    "rungs and an override": (GOOD + RUNGS + f"overrides: {{{LONG}: 3}}", f"overrides: {LONG} is set by rungs"),
    "rungs and a range": (ONE + RUNGS + f"space: {{{LONG}: {{int: [1, 2]}}}}", f"space: {LONG} is set by rungs"),
    "rungs and a limit": (
        GOOD.replace("tiny.yaml", "[tiny.yaml, hour.yaml]") + RUNGS,
        "base: trainer.max_time is 00:01:00:00, which limits the training as well",
    ),
    "rungs without validation": (
        GOOD + RUNGS + "overrides: {trainer.check_val_every_n_epoch: 2}",
        "overrides: trainer.check_val_every_n_epoch is 2, which leaves a rung without the validation",
    ),
    "rungs in seconds with a schedule": (
        GOOD + RUNGS.replace("epochs", "seconds") + "overrides: {model.schedule: cosine}",
        "model.schedule is cosine, .* set it to constant",
    ),
    # the rest of the engine
    "seeds": (GOOD + "seeds: many", "seeds: is many, but must be how many there are"),
    "no seeds": (GOOD + "seeds: 0", "seeds: is 0, but must be how many there are"),
    "a seed twice": (GOOD + "seeds: [1, 1]", r"seeds: \[1, 1\] holds a seed twice"),
    "seeds and a seed": (
        GOOD + "seeds: 2\noverrides: {seed_everything: 1}",
        "overrides: seed_everything is set by seeds",
    ),
    "resources": (GOOD + "resources: {cores: 1}", "resources: is {cores: 1}, but must be like"),
    "cpus": (GOOD + "resources: {cpus: 0}", "resources: cpus is 0, but must be"),
    "gpus": (GOOD + "resources: {gpus: 1.5}", "resources: gpus is 1.5, but must be"),
    "storage": (GOOD + "storage: mysql://me:secret@host/db", "storage: is of mysql, but must be like postgresql"),
    "no storage": (GOOD + "storage: study.db", "storage: is no address, but must be like postgresql"),
    "a warm start": (GOOD + "warm_start: [nowhere]", "warm_start: nowhere is no run folder"),
    "warm starts": (GOOD + "warm_start: 3", "warm_start: is 3, but must be a list"),
    # the sampler
    "a sampler": (GOOD + "sampler: TPE", "sampler: there is no TPE; there are"),
    "a sampler's argument": (
        GOOD + "sampler: {class_path: TPESampler, init_args: {grup: true}}",
        "sampler: TPESampler cannot be made with {grup: true}: .*grup",
    ),
    "a grid of an endless range": (
        ONE + "sampler: GridSampler\nspace: {model.optimizer.init_args.lr: {float: [0.1, 1]}}",
        r"sampler: a GridSampler needs a list of values .*\.lr is a range without steps; give it a step",
    ),
    "a grid of a conditional space": (
        ONE + f"sampler: GridSampler\nspace: {{{NET}.block: {{choice: {{TFCTDF: {{.layers: {{int: [1, 2]}}}}}}}}}}",
        "exist under some choices; BruteForceSampler goes through those",
    ),
    "a list outside of the space": (
        GOOD + f"sampler: {{class_path: FixedList, init_args: {{trials: [{{{NET}.depth: 2}}, {{{NET}.depth: 9}}]}}}}",
        r"sampler: trial 2 of the list: .*depth is 9, which is outside of the space$",
    ),
    "a list without a key": (
        GOOD + "sampler: {class_path: FixedList, init_args: {trials: [{}]}}",
        r"sampler: trial 1 of the list: .*depth is missing$",
    ),
}
ARGUMENTS = {
    "a file that is not there": (["none.yaml"], "none.yaml cannot be read"),
    "trials": (["good.yaml", "--trials", "0"], "trials: is 0"),
    "data": (["good.yaml", "--data", "nowhere"], "data: nowhere is no folder"),
    "an override without a value": (["good.yaml", "--trainer.max_epochs"], "--trainer.max_epochs needs a value"),
    "a stray word": (["good.yaml", "again"], "'again' is not understood"),
    "an unknown key": (
        ["good.yaml", "--trainer.max_epoch=1"],
        r"overrides: trainer.max_epoch \(1\): there is no setting trainer.max_epoch",
    ),
    "storage": (["good.yaml", "--storage", "sqlite:///x.db"], "storage: is of sqlite"),
    "a config that is not there": (["good.yaml", "--enqueue", "none.yaml"], "none.yaml cannot be read"),
    "a config outside of the space": (
        ["good.yaml", "--enqueue", "deep.yaml"],
        "deep.yaml: .*depth is 7, .* outside of",
    ),
    "a status of nothing": (["--status", "nowhere"], "nowhere"),
}


@pytest.fixture(autouse=True)
def folder(config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    del config["out"], config["trainer"]["enable_progress_bar"]
    net = {"class_path": "UNet", "init_args": {"width": 4}}
    config["model"]["separator"]["init_args"]["net"] = net
    write_yaml(tmp_path / "tiny.yaml", config)
    net["init_args"]["depth"] = 7
    write_yaml(tmp_path / "deep.yaml", config)
    write_yaml(tmp_path / "hour.yaml", {"trainer": {"max_time": "00:01:00:00"}})
    (tmp_path / "good.yaml").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CommandLine, "train", lambda *_: pytest.fail("something was trained"))
    return tmp_path


@pytest.fixture(scope="module", autouse=True)
def one_command_line() -> Any:
    """The command line, made once: that takes half a second."""
    with pytest.MonkeyPatch.context() as patch:
        made = CommandLine("group")
        patch.setattr("unetsep.sweep.trial.CommandLine", lambda *_, **__: made)
        yield


def refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["sweep", *arguments]) == 2
    said = capsys.readouterr().err
    [line] = said.splitlines()
    assert re.search(message, line), line
    assert "secret" not in line


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text, message = BAD[name]
    Path("bad.yaml").write_text(text)
    refused(["bad.yaml"], message, capsys)
    assert not Path("runs").exists()


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_bad_command_line_is_refused_in_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, message = ARGUMENTS[name]
    refused(arguments, message, capsys)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("more", "key"),
    [(GOOD.replace("3]", "4]"), "space"), (GOOD + RUNGS, "rungs"), (GOOD + "seeds: 2", "seeds")],
)
def test_a_run_folder_of_another_sweep_is_refused(more: str, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    from unetsep.sweep.question import read_sweep

    sweep = read_sweep(Path("good.yaml"))
    with open_study(Path("runs/bad"), sweep.objectives):
        write_yaml(Path("runs/bad/sweep.yaml"), sweep.document)
    Path("runs/bad/trials/0000").mkdir(parents=True)
    held = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*")}
    Path("bad.yaml").write_text(more)
    refused(["bad.yaml"], f"runs/bad holds another sweep, which differs in {key}; give another --out", capsys)
    assert {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*")} == held
