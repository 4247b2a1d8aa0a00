from pathlib import Path

import pytest

from unetsep.audio.files import InputError
from unetsep.sweep.document import read_yaml, write_yaml
from unetsep.sweep.question import read_overrides, read_sweep

SMALL = """
question: Does it work?
base: [small.yaml, fast.yaml]
trials: 3
space:
  base: {choice: [deep.yaml]}
  net.depth: {int: [1, 5]}
"""


@pytest.fixture
def sweeps(tmp_path: Path) -> Path:
    write_yaml(tmp_path / "small.yaml", {"net": {"class_path": "UNet", "init_args": {"width": 8}}, "lr": 1e-3})
    write_yaml(tmp_path / "fast.yaml", {"trainer": {"max_epochs": 1}, "lr": 1e-2})
    write_yaml(tmp_path / "deep.yaml", {"net": "DeepUNet"})
    return tmp_path


def sweep_of(folder: Path, text: str, **more):
    path = folder / "question.yaml"
    path.write_text(text)
    return read_sweep(path, **more)


def test_a_sweep_has_defaults_for_all_but_its_space(sweeps: Path) -> None:
    sweep = sweep_of(sweeps, "trials: 2\nspace: {net.depth: {int: [1, 5]}}")
    assert sweep.objectives == {"val/usdr": "maximize", "cost/gmacs_per_second": "minimize"}
    assert sweep.document["sampler"]["class_path"] == "TPESampler"
    assert (sweep.trials, sweep.budget, sweep.root) == (2, {}, None)


def test_fragments_are_found_beside_the_file_and_layered_in_order(sweeps: Path) -> None:
    sweep = sweep_of(sweeps, SMALL)
    assert sweep.space.base == {
        "net": {"class_path": "UNet", "init_args": {"width": 8}},
        "lr": 1e-2,
        "trainer": {"max_epochs": 1},
    }
    assert sweep.space.fragments["deep.yaml"] == {"net": "DeepUNet"}


def test_the_resolved_sweep_is_a_sweep_that_needs_no_other_file(sweeps: Path, tmp_path: Path) -> None:
    sweep = sweep_of(sweeps, SMALL, overrides={"lr": 1e-4})
    alone = tmp_path / "elsewhere" / "sweep.yaml"
    write_yaml(alone, sweep.document)
    again = read_sweep(alone)
    assert again.document == sweep.document
    assert again.space == sweep.space


def test_data_and_trials_and_overrides_of_the_command_line_win(sweeps: Path) -> None:
    text = SMALL + "synthetic: {train: 3, seconds: 8}\noverrides: {lr: 1, seed: 2}"
    sweep = sweep_of(sweeps, text, trials=9, data=sweeps, overrides={"lr": 3})
    assert sweep.trials == 9
    assert sweep.document["overrides"] == {"lr": 3, "seed": 2}
    assert (sweep.root, sweep.document["synthetic"]) == (sweeps, None)
    assert sweep.space.base["data"] == {"root": str(sweeps)}


def test_a_synthetic_set_is_named_by_what_it_is_made_of(sweeps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sweeps)
    sweep = sweep_of(sweeps, SMALL + "synthetic: {train: 3, valid: 1, test: 0, seconds: 8, seed: 5}")
    assert sweep.root == sweeps / "data" / "synthetic-3-1-0-8s-seed5"


def test_more_trials_or_another_wording_are_the_same_question(sweeps: Path) -> None:
    sweep = sweep_of(sweeps, SMALL)
    assert sweep.differences(sweep_of(sweeps, SMALL.replace("Does it work?", "Does it?"), trials=9).document) == []
    assert sweep.differences(sweep_of(sweeps, SMALL.replace("5]", "6]")).document) == ["space"]
    assert sweep.differences(sweep_of(sweeps, SMALL, overrides={"lr": 1}).document) == ["overrides"]
    write_yaml(sweeps / "fast.yaml", {"trainer": {"max_epochs": 2}})
    assert sweep.differences(sweep_of(sweeps, SMALL).document) == ["fragments"]


def test_where_and_from_what_knowledge_a_sweep_is_carried_out_is_no_other_question(sweeps: Path) -> None:
    sweep = sweep_of(sweeps, SMALL)
    (sweeps / "other" / "trials").mkdir(parents=True)
    aside = f"resources: {{cpus: 2}}\nstorage: postgresql+psycopg://me@host/db\nwarm_start: [{sweeps}/other]\n"
    assert sweep.differences(sweep_of(sweeps, SMALL + aside).document) == []
    assert sweep.differences(sweep_of(sweeps, SMALL + "seeds: 2").document) == ["seeds"]
    older = {key: value for key, value in sweep.document.items() if key not in ("rungs", "seeds", "warm_start")}
    assert sweep.differences(older) == []


def test_rungs_have_the_last_word_on_how_long_a_training_is(sweeps: Path) -> None:
    sweep = sweep_of(sweeps, SMALL + "rungs: {unit: epochs, first: 1, eta: 3, last: 9}")
    assert sweep.rungs is not None
    assert sweep.rungs.amounts == (1, 3, 9)
    assert sweep.space.overrides == {"trainer.max_epochs": 9}
    steps = sweep_of(sweeps, SMALL + "rungs: {unit: steps, first: 10, eta: 2, last: 40}")
    assert steps.space.overrides == {"trainer.max_epochs": -1, "trainer.max_steps": 40}


@pytest.mark.parametrize(("given", "seeds"), [("2", (0, 1)), ("[4, 1]", (4, 1)), ("null", ())])
def test_seeds_are_counted_or_listed(sweeps: Path, given: str, seeds: tuple[int, ...]) -> None:
    assert sweep_of(sweeps, SMALL + f"seeds: {given}").seeds == seeds


def test_a_grid_goes_through_what_the_space_holds(sweeps: Path) -> None:
    space = "{lr: {float: [0, 1], step: 0.5}, net.depth: {int: [1, 3]}, n: {choice: {8: {hop: {value: 2}}, 16: {}}}}"
    sweep = sweep_of(sweeps, f"space: {space}\nsampler: GridSampler\noverrides: {{net.init_args.depth: 2}}")
    assert sweep.document["sampler"] == {
        "class_path": "GridSampler",
        "init_args": {"search_space": {"lr": [0.0, 0.5, 1.0], "n": [8, 16]}},
    }
    given = sweep_of(
        sweeps, f"space: {space}\nsampler: {{class_path: GridSampler, init_args: {{search_space: {{n: [8]}}}}}}"
    )
    assert given.document["sampler"]["init_args"]["search_space"] == {"n": [8]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spaec: {}", r"question.yaml: spaec is unknown; did you mean space\?"),
        ("trials: 3", r"question.yaml: space: is missing"),
        ("space: {a: {int: [1, 2]}}\ntrials: 0", r"trials: is 0, but must be a whole number, 1 or more"),
        ("space: {a: {int: [1, 2]}}\ntrials: many", r"trials: is many"),
        ("space: {a: {int: [1, 2]}}\nseed: -1", r"seed: is -1"),
        ("space: {a: {int: [1, 2]}}\nobjectives: {}", r"objectives: is empty"),
        ("space: {a: {int: [1, 2]}}\nobjectives: {val/usdr: up}", r"val/usdr is up, but must be maximize or minimize"),
        ("space: {a: {int: [1, 2]}}\nobjectives: {val/sdr: maximize}", r"val: sdr is unknown; did you mean usdr\?"),
        ("space: {a: {int: [1, 2]}}\nobjectives: {usdr: maximize}", r"usdr is no measure; they are called val/usdr"),
        (
            "space: {a: {int: [1, 2]}}\nobjectives: {cost/gmacs: minimize}",
            r"gmacs is unknown; there are params, gmacs_per_second",
        ),
        ("space: {a: {int: [1, 2]}}\nbudget: {param: 3}", r"budget: param is unknown; did you mean params\?"),
        ("space: {a: {int: [1, 2]}}\nbudget: {params: none}", r"budget: params is none, but must be a number above 0"),
        ("space: {a: {int: [1, 2]}}\nbudget: [1]", r"budget: is \[1\], but must be a mapping"),
        ("space: {a: {int: [1, 2]}}\nsynthetic: {songs: 3}", r"synthetic: songs is unknown"),
        ("space: {a: {int: [1, 2]}}\nsynthetic: {train: 1.5}", r"synthetic: train is 1.5"),
        ("space: {a: {int: [1, 2]}}\nbase: 3", r"base: is \[3\]|base: is 3"),
        ("space: {a: {int: [1, 2]}}\nbase: none.yaml", r"none.yaml cannot be read"),
        ("space: {base: {choice: [none.yaml]}}", r"none.yaml cannot be read"),
        ("space: {base: {int: [1, 2]}}", r"space: base: must be a choice of config files"),
        ("space: {a: {int: [1, 2]}}\ndata: nowhere", r"data: nowhere is no folder"),
    ],
)
def test_what_is_not_understood_is_refused_with_file_and_key(sweeps: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        sweep_of(sweeps, text)
    assert "question.yaml" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_overrides_are_read_in_three_spellings() -> None:
    given = ["--trainer.max_epochs=3", "--model.lr", "1e-4", "net.block=TFC", "--net.stride", "[2, 1]"]
    assert read_overrides(given) == {
        "trainer.max_epochs": 3,
        "model.lr": 1e-4,
        "net.block": "TFC",
        "net.stride": [2, 1],
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs"], "'runs' is not understood"),
        (["--a.b"], "--a.b needs a value"),
        (["-x=1"], "'-x=1' is not"),
    ],
)
def test_other_arguments_are_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_overrides(arguments)


def test_the_resolved_sweep_can_be_read_by_any_yaml_reader(sweeps: Path) -> None:
    import yaml

    sweep = sweep_of(sweeps, SMALL, overrides={"word": "no", "text": "1e-4"})
    write_yaml(sweeps / "sweep.yaml", sweep.document)
    assert yaml.safe_load((sweeps / "sweep.yaml").read_text()) == read_yaml(sweeps / "sweep.yaml") == sweep.document
