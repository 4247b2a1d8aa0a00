"""What the README tells a newcomer to type and to write is taken by the program.

Everything that `unetsep` is told there is carried out, on little music and few steps, but for Ray's clusters
(`tests/sweep/test_cluster.py` trains on one), which are parsed by the programs that they are for, and uploads to
Weights & Biases, which end where one must be logged in (`tests/report/test_sync.py` goes on from there). What `make`
would do is asked of `make`, as it would install everything once more.
"""

import argparse
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import yaml

from unetsep.__main__ import main
from unetsep.audio.files import read_audio, write_audio
from unetsep.cli import UnetsepCLI
from unetsep.sweep import _parser as sweep_parser
from unetsep.sweep.question import read_overrides, read_sweep
from unetsep.sweep.trial import CommandLine

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def lines():
    """The words of every command line, its continued lines joined and its comments dropped."""
    text = "\n".join(blocks("sh")).replace("\\\n", " ")
    return [words for line in text.splitlines() if (words := shlex.split(line, comments=True))]


def unetsep_commands():
    """What `unetsep` is told, in order; a command may have another one before it, as Ray's has."""
    return [words[words.index("unetsep") + 1 :] for words in lines() if "unetsep" in words]


def commands(verb):
    """The arguments of every command of a verb."""
    return [each[1:] for each in unetsep_commands() if each[0] == verb]


@pytest.mark.parametrize(
    "args", [args for verb in ("fit", "cost") for args in commands(verb) if "runs/" not in args[1]], ids=" ".join
)
def test_every_training_and_costing_command_builds_its_network(args, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    given = ["--data.root=.", *args, "--out", str(tmp_path)]
    assert UnetsepCLI(given, run=False).model.separator.depth > 0


def test_the_question_that_it_shows_is_one_that_a_sweep_takes(tmp_path):
    (text,) = (block for block in blocks("yaml") if "question:" in block)
    question = yaml.safe_load(text) | {"base": str(ROOT / "sweeps" / "base" / "small.yaml"), "data": "."}
    (tmp_path / "question.yaml").write_text(yaml.safe_dump(question), encoding="utf-8")
    sweep = read_sweep(tmp_path / "question.yaml", None, None, {})
    runner = CommandLine("readme")
    sweep.space.check(runner.resolve)
    for suggestion in sweep.space.branches(runner.resolve):
        assert runner.cost(runner.resolve(suggestion.config))["params"] > 0


def test_its_python_runs():
    code, _ = blocks("python")  # the other one needs a model and runs after the commands
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["stems"].shape == (1, 4, 2, 44_100)


def test_every_file_and_verb_that_it_names_is_there(capsys):
    for path in re.findall(r"(?:sweeps|benchmarks)/[\w/]+\.(?:yaml|py)", README):
        assert (ROOT / path).is_file(), path
    main(["--help"])
    verbs = re.findall(r"^  (\w+)  ", capsys.readouterr().out, flags=re.MULTILINE)
    used = {words[1] for line in "\n".join(blocks("sh")).splitlines() if (words := line.split())[:1] == ["unetsep"]}
    assert used <= set(verbs)


def made(command):
    """The command lines that a target of `make` consists of, without carrying them out."""
    env = {"PATH": os.environ["PATH"]}  # the tests run under make, whose ARGS are not these commands'
    asked = subprocess.run(["make", "-n", *command], cwd=ROOT, check=True, capture_output=True, text=True, env=env)
    printed = asked.stdout.replace("\\\n", " ")
    return [shlex.split(line) for line in printed.splitlines() if line.startswith(".venv/bin/") or "-m pytest" in line]


def test_every_command_line_is_one_of_those_that_are_tested_here():
    known = {"unetsep", "make", "export", "ray", "srun", "(umask", "head=$(scontrol"}
    assert {words[0] for words in lines()} == known
    for block in blocks("sh"):
        subprocess.run(["bash", "-n"], input=block, check=True, text=True)


@pytest.mark.parametrize("command", [words[1:] for words in lines() if words[0] == "make"], ids=" ".join)
def test_every_make_command_asks_for_what_the_program_takes(command, tmp_path):
    *_, last = made(command)
    if command[0] == "test":
        assert last[1:5] == [".venv/bin/python", "-m", "pytest", "tests"]
        return
    given, rest = sweep_parser().parse_known_args(last[2:])
    assert last[:2] == [".venv/bin/unetsep", "sweep"]
    sweep = read_sweep(ROOT / given.file, given.trials, given.data and tmp_path, read_overrides(rest), given.storage)
    sweep.space.check(CommandLine("readme").resolve)


@pytest.mark.parametrize("args", [args for args in commands("sweep") if "--ray" in args], ids=" ".join)
def test_every_sweep_on_a_cluster_is_one_that_the_program_takes(args):
    given, rest = sweep_parser().parse_known_args(args)
    assert (given.file, rest) == ("sweeps/shallow.yaml", [])
    assert given.ray in ("local", "auto")


def test_ray_knows_every_command_that_it_is_given():
    cli = pytest.importorskip("ray.scripts.scripts").cli
    text = "\n".join(blocks("sh")).replace("\\\n", " ").replace("$head", "node").replace("$SLURM_JOB_NUM_NODES", "4")
    given = [shlex.split(line, comments=True) for line in re.findall(r"\bray ((?:start|symm|get)[^)\n]*)", text)]
    assert {name for name, *_ in given} == {"start", "symmetric-run", "get-auth-token"}
    for name, *args in given:
        cli.commands[name].make_context(name, args)  # parses, and does no more


class ParsedError(Exception):
    """Ends a program after it has understood what it was given."""


@pytest.mark.parametrize("command", re.findall(r"`python (benchmarks/[^`]+)`", README))
def test_every_benchmark_takes_the_arguments_that_its_numbers_came_from(command, monkeypatch):
    parse = argparse.ArgumentParser.parse_args

    def parse_and_end(*args, **kwargs):
        parse(*args, **kwargs)
        raise ParsedError

    script, *args = shlex.split(command)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_end)
    monkeypatch.setattr(sys, "argv", [script, *args])
    for module in (ROOT / "benchmarks").glob("*.py"):  # tests/report and tests/training bear such names, too
        monkeypatch.delitem(sys.modules, module.stem, raising=False)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    with pytest.raises(ParsedError):
        runpy.run_path(str(ROOT / script), run_name="__main__")


def test_every_extra_that_it_installs_is_offered():
    named = set(re.findall(r"'\.\[(\w+)\]'", README.replace("\n", " ")))
    offered = set(
        re.findall(r"^(\w+) = \[(?: *#.*)?$", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    assert {"ray", "postgresql"} <= named <= offered


BRIEF = ["--trainer.max_epochs=1", "--data.batches_per_epoch=1", "--listening.tracks=1"]
LITTLE = {"--train": "3", "--valid": "2", "--test": "1", "--seconds": "6"}  # of music
HOURS = {"runs/depth": "runs/shallow", "runs/three_unets": "runs/skips"}  # and what stands in for what takes them
LOGGED_OUT = ("--wandb", "--sync")


def shortened(args):
    """The same command, on little music and for few steps."""
    args = [LITTLE.get(before, word) for before, word in zip(["", *args[:-1]], args, strict=True)]
    brief = [*BRIEF, "--wandb=offline" if "runs/skips" in args else "--wandb=disabled"]  # of one sweep it is reported
    if args[0] == "sweep" and "--status" not in args:
        return [*args, "--data=data/songs", *brief]
    if args[0] == "fit":
        epochs = 2 if "--resume" in args else 1
        return [*args, *brief, f"--trainer.max_epochs={epochs}"]
    return args


@pytest.mark.slow
@pytest.mark.timeout(900)  # one or two minutes
def test_every_command_does_what_it_is_there_for(monkeypatch, tmp_path, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "wandb"))
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # ONNX's exporter gives sizes that are no integers
    shutil.copytree(ROOT / "sweeps", "sweeps")
    synth, *others = (args for args in unetsep_commands() if "--ray" not in args)
    assert synth[:2] == ["data", "synth"]
    assert main(shortened(synth)) == 0
    train, test = (next(Path("data/songs", split).iterdir()) for split in ("train", "test"))

    # what the reader has: a song, somebody's estimates, the answer of `make sweep`, and that of another sweep
    shutil.copy(test / "mixture.wav", "song.wav")
    for stem in ("vocals", "drums", "bass", "other"):
        sound, rate = read_audio(test / f"{stem}.wav")
        noise = 0.01 * np.random.default_rng(0).standard_normal(sound.shape)
        write_audio(Path("others", test.name, f"{stem}.wav"), 0.9 * sound + noise, rate)
    *_, swept = made(["sweep"])
    assert main([*shortened(swept[1:]), "--trials=2"]) == 0
    best = sorted(Path("runs/shallow/pareto").glob("*.yaml"))[0]
    Path("runs/other/pareto").mkdir(parents=True)
    shutil.copy(best, "runs/other/pareto/0007.yaml")

    for args in others:
        here = [word.replace("NUMBER", best.stem).replace("TRACK", train.name) for word in shortened(args)]
        here = [HOURS.get(word, word) for word in here]
        if "--enqueue" in here:
            here.append("--trials=3")  # one more than were trained
        code = main(here)
        said = capfd.readouterr()
        if set(here) & set(LOGGED_OUT):
            assert (code, "wandb login" in said.out + said.err) == (2, True), here
        else:
            assert code == 0, (here, said.err)
    for file in (
        "pictures",
        "runs/gates/checkpoints/best.ckpt",
        "runs/skips/report/index.html",
        "stems/song/vocals.wav",
        "small/song/vocals.wav",
        "karaoke/song/minus_vocals.flac",
        "again/song/vocals.wav",
        "scores/longer/scores.csv",
        "scores/others/scores.csv",
        "reports/skips/media",
        "reports/unets/index.html",
        "skips.json",
    ):
        assert Path(file).exists(), file
    assert len(list(Path("runs/shallow/trials").iterdir())) == 3
    waveform, rate = read_audio(Path("song.wav"))
    names = {"waveform": waveform, "sample_rate": rate}
    exec(compile(blocks("python")[1], "README.md", "exec"), names)
    assert {name: stem.shape for name, stem in names["stems"].items()} == dict.fromkeys(
        ("vocals", "minus_vocals"), waveform.shape
    )


def test_every_target_that_it_names_is_in_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = re.findall(r"^make ([a-z-]+)", "\n".join(blocks("sh")), flags=re.MULTILINE) + re.findall(
        r"`make ([a-z-]+)", README
    )
    assert {"sweep", "test"} <= set(named) <= targets
