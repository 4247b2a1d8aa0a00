"""What the README tells a newcomer to type and to write is taken by the program."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from unetsep.__main__ import main
from unetsep.cli import UnetsepCLI
from unetsep.sweep.question import read_sweep
from unetsep.sweep.trial import CommandLine

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands(verb):
    """The arguments of every command of a verb, its continued lines joined and its comments dropped."""
    lines = "\n".join(blocks("sh")).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [each[2:] for each in words if each[:2] == ["unetsep", verb]]


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
    (code,) = blocks("python")
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


def test_every_target_that_it_names_is_in_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = re.findall(r"^make ([a-z-]+)", "\n".join(blocks("sh")), flags=re.MULTILINE) + re.findall(
        r"`make ([a-z-]+)", README
    )
    assert {"sweep", "test"} <= set(named) <= targets
