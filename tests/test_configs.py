"""The configs that come with the package are found by name from any folder, and real files come first."""

from pathlib import Path

import pytest

from unetsep.audio.files import InputError
from unetsep.cli.refusals import found_configs
from unetsep.configs import BASES, QUESTIONS, find_config
from unetsep.sweep.document import read_yaml
from unetsep.sweep.question import read_sweep

SWEEPS = Path(__file__).parents[1] / "sweeps"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("given", ["shallow", "shallow.yaml", "sweeps/shallow.yaml", "sweeps/shallow"])
def test_a_question_is_found_from_a_folder_without_the_repository(given: str) -> None:
    assert find_config(given, QUESTIONS).read_text() == (SWEEPS / "shallow.yaml").read_text()


@pytest.mark.parametrize("given", ["small", "small.yaml", "base/small.yaml", "sweeps/base/small.yaml"])
def test_a_config_is_found_from_a_folder_without_the_repository(given: str) -> None:
    assert find_config(given, BASES).read_text() == (SWEEPS / "base" / "small.yaml").read_text()


def test_a_real_file_of_that_name_comes_first(elsewhere: Path) -> None:
    (elsewhere / "small").write_text("data: {}\n")
    assert find_config("small", BASES) == Path("small")


def test_a_folder_of_that_name_is_no_config(elsewhere: Path) -> None:
    (elsewhere / "shallow").mkdir()
    assert find_config("shallow", QUESTIONS).is_file()


@pytest.mark.parametrize("given", ["smal", "sweeps/base/smal.yaml"])
def test_an_unknown_name_is_refused_with_those_that_there_are(given: str) -> None:
    with pytest.raises(InputError, match=rf"no file {given}, .* full, small, "):
        find_config(given, BASES)


@pytest.mark.parametrize("given", ["none.yaml", "runs/small.yaml"])
def test_a_missing_file_is_left_for_its_reader_to_refuse(given: str) -> None:
    assert find_config(given, BASES) == Path(given)


@pytest.mark.parametrize("given", ["/small", "runs/small"])
def test_a_path_elsewhere_is_not_taken_for_a_name(given: str) -> None:
    with pytest.raises(InputError, match=f"no file {given}"):
        find_config(given, BASES)


def test_a_question_of_ones_own_starts_from_a_config_that_comes_along(elsewhere: Path) -> None:
    question = elsewhere / "mine.yaml"
    question.write_text(
        "base: base/small.yaml\nobjectives: {val/usdr: maximize}\ntrials: 1\n"
        "space: {model.optimizer.init_args.lr: {float: [1e-3, 1e-2]}}\n"
    )
    assert read_sweep(question).space.base["model"] == read_yaml(SWEEPS / "base" / "small.yaml")["model"]


@pytest.mark.parametrize("words", [["--config", "small"], ["--config=small"], ["-c", "small"], ["-c=small"]])
def test_configs_of_a_training_are_found_and_other_words_left_alone(words: list[str]) -> None:
    *option, path = "=".join(found_configs(["fit", *words, "--out", "small"])[1:-2]).split("=")
    assert Path(path).samefile(SWEEPS / "base" / "small.yaml")
    assert option == [words[0].partition("=")[0]]
