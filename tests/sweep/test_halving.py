"""The search with rungs: who goes on, who stops, and that a kill changes nothing."""

import math
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from unetsep.sweep.front import pareto_front, write_front
from unetsep.sweep.rungs import Stop
from unetsep.sweep.trials import Outcome, read_result, trial_folder

from .toy import Killed, Toy, run, sweep_of, trials_of

RUNGS = "rungs: {unit: epochs, first: 1, eta: 3, last: 9}\n"
LINE = RUNGS + "seed: 1\nspace: {x: {int: [1, 100]}}\ntrials: 9\n"
ONE = "objectives: {val/usdr: maximize}\n"


def results(folder: Path) -> dict[int, Any]:
    found = {int(path.name): read_result(path) for path in sorted((folder / "trials").iterdir())}
    return {number: result for number, result in found.items() if result is not None and result.trained}


def test_all_begin_a_third_goes_on_and_a_ninth_is_trained_to_the_end(tmp_path: Path) -> None:
    _, toy, gave_up = run(sweep_of(LINE + ONE), tmp_path)
    assert gave_up == ""
    amounts = [amount for _, amount in toy.stops]
    assert sorted(number for number, amount in toy.stops if amount == 1) == list(range(9))
    assert amounts.count(3.0) >= 3
    assert amounts.count(None) >= 1
    assert len(toy.stops) == len(set(toy.stops))
    states = [result.state for result in results(tmp_path).values()]
    assert states.count("complete") == amounts.count(None)
    assert states.count("stopped") == 9 - amounts.count(None)


def test_the_best_is_trained_to_the_end(tmp_path: Path) -> None:
    run(sweep_of(LINE + ONE), tmp_path)
    found = results(tmp_path)
    best = max(found.values(), key=lambda result: result.rungs[0]["val/usdr"])
    assert best.state == "complete"
    assert [rung["val/usdr"] for rung in best.rungs] == pytest.approx(
        [best.scores["val/usdr"] - 1, best.scores["val/usdr"] - 1 / 3, best.scores["val/usdr"]]
    )


def test_with_two_objectives_those_go_on_that_nothing_beats(tmp_path: Path) -> None:
    _, toy, _ = run(sweep_of(LINE.replace("trials: 9", "trials: 27")), tmp_path)
    found = results(tmp_path)
    points = [[result.rungs[0]["val/usdr"], result.value("cost/gmacs_per_second")] for result in found.values()]
    best = [list(found)[index] for index in pareto_front(points, [True, False])]
    assert len(best) < 9
    assert {number for number, amount in toy.stops if amount == 3.0} >= set(best)


def test_the_study_records_every_rung(tmp_path: Path) -> None:
    run(sweep_of(LINE), tmp_path)
    for trial in trials_of(tmp_path):
        result = read_result(trial_folder(tmp_path, trial.number))
        assert result is not None
        assert trial.state == TrialState.COMPLETE
        assert trial.user_attrs["rungs"] == list(result.rungs)
        assert trial.user_attrs["state"] == result.state
        assert trial.values == [result.scores["val/usdr"], result.cost["gmacs_per_second"]]


def test_what_was_stopped_counts_for_the_front_with_what_it_reached(tmp_path: Path) -> None:
    sweep = sweep_of(LINE)
    run(sweep, tmp_path)
    for number in results(tmp_path):
        (trial_folder(tmp_path, number) / "config.yaml").write_text("out: x\n")
    points = [[result.value(measure) for measure in sweep.objectives] for result in results(tmp_path).values()]
    written = [int(path.stem) for path in write_front(tmp_path, sweep.objectives)]
    assert written == [list(results(tmp_path))[index] for index in pareto_front(points, [True, False])]


def test_few_trials_end_with_one_whole_training(tmp_path: Path) -> None:
    _, toy, _ = run(sweep_of(LINE.replace("trials: 9", "trials: 2")), tmp_path)
    assert [amount for _, amount in toy.stops] == [1.0, 1.0, 3.0, None]
    assert [result.state for result in results(tmp_path).values()].count("complete") == 1


def test_a_trial_that_fails_at_a_later_rung_keeps_its_rungs_and_goes_no_further(tmp_path: Path) -> None:
    class Breaks(Toy):
        def train(self, config: Any, folder: Path, stop: Stop | None, watch: Any) -> Outcome:
            if stop is not None and stop.amount == 3:
                raise ValueError("the loss is nan")
            return super().train(config, folder, stop, watch)

    run(sweep_of(LINE), tmp_path, Breaks())
    failed = [result for result in results(tmp_path).values() if result.state == "failed"]
    assert failed
    for result in failed:
        assert len(result.rungs) == 1
        assert result.reason == "ValueError: the loss is nan"
        assert trials_of(tmp_path)[result.number].state == TrialState.FAIL
    assert not any(len(result.rungs) > 1 for result in results(tmp_path).values())


def test_a_score_that_is_no_number_at_a_rung_is_a_failure(tmp_path: Path) -> None:
    toy = Toy()
    toy.scores[4] = {"val/usdr": math.nan}
    run(sweep_of(LINE), tmp_path, toy)
    assert results(tmp_path)[4].state == "failed"


def test_more_trials_may_be_asked_for_later_and_what_was_stopped_stays_so(tmp_path: Path) -> None:
    run(sweep_of(LINE), tmp_path)
    before = results(tmp_path)
    _, toy, _ = run(sweep_of(LINE.replace("trials: 9", "trials: 18")), tmp_path)
    assert len(results(tmp_path)) == 18
    assert all(number >= 9 for number, _ in toy.trained)
    assert all(results(tmp_path)[number] == result for number, result in before.items())


@pytest.mark.parametrize("objectives", ["", ONE])
def test_a_sweep_killed_in_any_training_ends_as_if_it_had_not_been(tmp_path: Path, objectives: str) -> None:
    sweep = sweep_of(LINE + objectives)
    _, whole, _ = run(sweep, tmp_path / "whole")
    for moment in range(len(whole.stops)):

        class Dies(Toy):
            def train(self, config: Any, folder: Path, stop: Stop | None, watch: Any) -> Outcome:
                outcome = super().train(config, folder, stop, watch)
                if len(self.stops) == moment + 1:  # noqa: B023
                    raise Killed
                return outcome

        folder, toy = tmp_path / str(moment), Dies()
        with pytest.raises(Killed):
            run(sweep, folder, toy)
        _, again, _ = run(sweep, folder)
        assert toy.stops[:-1] + again.stops == whole.stops
        for number, result in results(tmp_path / "whole").items():
            other = results(folder)[number]
            assert (other.state, other.params, other.rungs, other.cost) == (
                result.state,
                result.params,
                result.rungs,
                result.cost,
            )


def test_seeds_are_averaged_and_their_spread_is_kept(tmp_path: Path) -> None:
    class Seeded(Toy):
        def train(self, config: Any, folder: Path, stop: Stop | None, watch: Any) -> Outcome:
            self.folders.append((config["seed_everything"], folder.relative_to(tmp_path / "trials")))
            return Outcome({"val/usdr": 10.0 + config["seed_everything"]}, 0)

        folders: list[tuple[int, Path]] = []  # noqa: RUF012

    toy = Seeded()
    run(sweep_of("seeds: [1, 2, 6]\nspace: {x: {int: [1, 100]}}\ntrials: 1"), tmp_path, toy)
    assert toy.folders == [(1, Path("0000")), (2, Path("0000/seeds/2")), (6, Path("0000/seeds/6"))]
    result = results(tmp_path)[0]
    assert result.scores == {"val/usdr": 13.0}
    assert result.spread["val/usdr"] == pytest.approx(math.sqrt(7))
    assert trials_of(tmp_path)[0].values == [13.0, result.cost["gmacs_per_second"]]
