"""What the charts show: the front in every plane, the bounds, and what each setting did."""

import json
import math
import re

import numpy as np
import pytest
import vl_convert

from unetsep.report.charts import (
    ON_PAGE,
    ON_PAPER,
    costs_of,
    front_svg,
    rows,
    score_against,
    spec_of,
    words,
)
from unetsep.report.effects import parallel, score_by, skip_chart
from unetsep.report.learning import learning
from unetsep.report.reading import read_run
from unetsep.report.settings import fields, importances, settings_of

from .sweep_folder import DEPTH, write_sweep, write_trial

SKIP = "model.separator.init_args.net.init_args.skip_at"


def values(spec, name):
    """The rows of the data set that has a field."""
    return next(rows for rows in spec["datasets"].values() if rows and name in rows[0])


def texts(spec):
    return [row["text"] for rows in spec["datasets"].values() for row in rows if "text" in row]


def test_a_trials_row_holds_what_a_chart_can_show_and_none_where_nothing_was_measured(sweep):
    first = rows(read_run(sweep))[0]
    assert (first["key"], first["front"], first["score"], first["spread"]) == ("0", True, 5.0, None)
    assert (first["gmacs_per_second"], first["depth"], first["rtf_cpu"]) == (1.0, 1, None)
    assert json.dumps(first, allow_nan=False)


def test_a_screen_reader_hears_the_trial_its_score_and_its_cost(sweep):
    run = read_run(sweep)
    assert words(run, run.ranked[0]) == "trial 0, on the front: usdr 5.00 dB, 1 GMAC/s"
    assert words(run, run.ranked[2]) == "trial 1: usdr 4.00 dB, 1.5 GMAC/s"


def test_the_score_can_be_seen_against_every_cost_that_differs_the_sweeps_own_first(sweep):
    assert costs_of(read_run(sweep)) == ["gmacs_per_second", "params", "depth"]


def test_the_steps_are_the_front_of_the_plane_that_is_shown(sweep):
    run = read_run(sweep)
    steps = values(spec_of(score_against(run, "gmacs_per_second", ON_PAGE), ON_PAGE), "gmacs_per_second")
    assert [(step["gmacs_per_second"], step["score"]) for step in steps] == [(0.05, 2.5), (0.5, 4.8), (1.0, 5.0)]
    # by parameters, of which trial n has 1000 (n + 1), the best is also the cheapest: a front of one, and no steps
    by_params = spec_of(score_against(run, "params", ON_PAGE), ON_PAGE)
    assert not [rows for rows in by_params["datasets"].values() if rows and "params" in rows[0]]


def test_a_bound_near_the_trials_is_a_line_and_one_far_off_is_a_word_at_the_edge(sweep):
    (sweep / "oracle.json").write_text('{"usdr": 6.5}')
    (sweep / "mixture.json").write_text('{"usdr": -5.25}')
    spec = spec_of(score_against(read_run(sweep), "gmacs_per_second", ON_PAGE), ON_PAGE)
    assert sorted(texts(spec)) == ["floor 2.00 dB", "mixture -5.25 dB ↓", "oracle 6.50 dB"]
    low, high = spec["layer"][0]["encoding"]["y"]["scale"]["domain"]
    assert 1.5 < low < 2.0
    assert 6.5 < high < 7.0


def test_seeds_spread_is_drawn_where_it_is_known(tmp_path):
    folder = write_sweep(tmp_path / "s")
    for number in range(3):
        write_trial(folder, number, usdr=float(number), gmacs=0.1 * (number + 1), spread={"val/usdr": 0.25})
    spec = spec_of(score_against(read_run(folder), "gmacs_per_second", ON_PAPER), ON_PAPER)
    drawn = vl_convert.vegalite_to_svg(
        {**spec, "width": 400, "datasets": {**spec["datasets"], "trials": rows(read_run(folder))}}
    )
    assert len(re.findall(rf'<line [^>]*stroke="{ON_PAPER["soft"]}"', drawn)) == 3
    assert "usdr, dB</text>" in drawn, "the axis is that of the score alone"


def test_in_another_plane_its_own_front_is_filled(sweep):
    # by parameters trial 0 is the best and the cheapest; by multiply-adds 0, 2 and 3 are on the front
    for cost, front in (("gmacs_per_second", 3), ("params", 1)):
        spec = spec_of(score_against(read_run(sweep), cost, ON_PAPER), ON_PAPER)
        data = {**spec["datasets"], "trials": rows(read_run(sweep))}
        svg = vl_convert.vegalite_to_svg({**spec, "width": 400, "datasets": data})
        assert svg.count(f'fill="{ON_PAPER["accent"]}"') == front


def test_one_trial_without_any_bound_is_a_picture_too(tmp_path):
    folder = write_sweep(tmp_path / "s", floor=None)
    write_trial(folder, 0, usdr=5.0, gmacs=0.1)
    write_trial(folder, 1, usdr=2.0, gmacs=0.2)
    assert "usdr, dB" in front_svg(read_run(folder))


def test_a_cost_that_only_unscored_trials_differ_in_is_no_axis(tmp_path):
    folder = write_sweep(tmp_path / "s")
    write_trial(folder, 0, usdr=5.0, gmacs=0.1)
    for number in (1, 2):
        write_trial(folder, number, usdr=math.nan, gmacs=0.1, cost={"rtf_cpu": 0.1 * number, "gmacs_per_second": 0.1})
    assert costs_of(read_run(folder)) == []


def test_a_cost_that_the_sweep_minimises_is_an_axis_whichever_it_is(tmp_path):
    folder = write_sweep(tmp_path / "s", objectives={"val/usdr": "maximize", "cost/receptive_field_hz": "minimize"})
    for number in range(2):
        write_trial(folder, number, usdr=1.0 + number, cost={"receptive_field_hz": 100.0 * (number + 1), "depth": 1})
    assert costs_of(read_run(folder)) == ["receptive_field_hz"]


def test_infinity_in_a_setting_is_a_choice_and_no_place_on_an_axis(tmp_path):
    folder = write_sweep(tmp_path / "s")
    for number, clip in enumerate([1.0, math.inf, 2.0, 1.0]):
        write_trial(folder, number, usdr=float(number), gmacs=0.1, params={"a.clip": clip, DEPTH: 1 + number % 2})
    run = read_run(folder)
    clip = next(setting for setting in settings_of(run) if setting.name == "clip")
    assert (clip.shown, clip.is_range) == (("1", "2", "inf"), False)
    assert json.dumps(spec_of(parallel(run, settings_of(run), {}, ON_PAGE), ON_PAGE), allow_nan=False)


def test_depth_as_a_cost_is_not_a_second_axis_of_that_name(tmp_path):
    folder = write_sweep(tmp_path / "s", objectives={"val/usdr": "maximize", "cost/depth": "minimize"})
    run = searched(folder)
    lines = values(spec_of(parallel(run, settings_of(run), {}, ON_PAGE), ON_PAGE), "key")
    assert len({(row["key"], row["axis"]) for row in lines}) == len(lines)


@pytest.mark.parametrize("first", [3, 300])
def test_every_rung_is_written_in_full_below_the_learning_curves(tmp_path, first):
    folder = write_sweep(tmp_path / "s", rungs={"unit": "steps", "first": first, "eta": 3, "last": 9 * first})
    for number in range(2):
        write_trial(folder, number, 3.0, 0.1, rungs=[{"val/usdr": 1.0 + number + rung} for rung in range(3)])
    spec = spec_of(learning(read_run(folder), ON_PAPER), ON_PAPER)
    svg = vl_convert.vegalite_to_svg({**spec, "width": 600, "datasets": {**spec["datasets"], "curves": []}})
    assert {str(first), str(3 * first), str(9 * first)} <= set(re.findall(r">(\d+)</text>", svg))


@pytest.mark.parametrize("cost", ["gmacs_per_second", "params", "depth"])
def test_every_chart_is_one_that_vega_draws(sweep, cost):
    spec = spec_of(score_against(read_run(sweep), cost, ON_PAPER), ON_PAPER)
    svg = vl_convert.vegalite_to_svg(
        {**spec, "width": 400, "datasets": {**spec["datasets"], "trials": rows(read_run(sweep))}}
    )
    assert svg.count("trial 0, on the front: usdr 5.00 dB, 1 GMAC/s") == 1
    assert ON_PAPER["accent"] in svg


def searched(folder, trials=24):
    """A sweep in which depth is everything, the learning rate nothing, and level 1 is better off with a skip."""
    for number in range(trials):
        depth = 1 + number % 4
        skips = {f"{SKIP}.{level}": "Drop" if (number // 4 + level) % 2 else "Concat" for level in range(depth)}
        score = depth + 0.5 * (skips.get(f"{SKIP}.1") == "Concat") + 0.01 * ((number * 7) % 11)
        params = {DEPTH: depth, "model.optimizer.init_args.lr": 0.001 * (1 + (number * 5) % 13), **skips}
        write_trial(folder, number, usdr=score, gmacs=0.1 * depth + 0.001 * number, depth=depth, params=params)
    return read_run(folder)


def test_settings_are_those_that_differ_numbers_in_order(tmp_path):
    run = searched(write_sweep(tmp_path / "s"))
    found = {setting.name: setting for setting in settings_of(run)}
    assert set(found) == {"depth", "lr", *(f"skip_at.{level}" for level in range(4))}
    assert (found["depth"].shown, found["depth"].is_range) == (("1", "2", "3", "4"), False)
    assert found["lr"].is_range
    assert list(found["lr"].values) == sorted(found["lr"].values)
    assert (found["skip_at.2"].level, found["skip_at.2"].shown, found["depth"].level) == (2, ("Concat", "Drop"), None)


def test_a_shallow_network_has_no_skip_of_a_deep_level(tmp_path):
    run = searched(write_sweep(tmp_path / "s"))
    deep = next(setting for setting in settings_of(run) if setting.level == 3)
    assert {trial.value("cost/depth") for trial in run.ranked if deep.has(trial)} == {4.0}
    shallow = next(trial for trial in run.ranked if trial.value("cost/depth") == 1.0)
    assert deep.field not in fields(settings_of(run), shallow)


def test_a_depth_that_was_not_suggested_is_a_setting_all_the_same(tmp_path):
    folder = write_sweep(tmp_path / "s")
    for number in range(4):
        write_trial(folder, number, usdr=float(number), gmacs=1.0, depth=number // 2 + 1, params={})
    (depth,) = settings_of(read_run(folder))
    assert (depth.name, depth.shown) == ("depth", ("1", "2"))


def test_what_decides_the_score_is_more_important_than_what_does_not(tmp_path):
    run = searched(write_sweep(tmp_path / "s"))
    told = importances(run, settings_of(run))
    shares = {key.split(".")[-1]: share for key, share in told.shares.items()}
    assert (told.trials, told.explained > 0.8) == (24, True)
    assert shares["depth"] > 5 * shares["lr"]
    assert math.isclose(sum(shares.values()), 1.0, abs_tol=1e-6)


def test_of_few_trials_no_importance_is_known(tmp_path):
    run = searched(write_sweep(tmp_path / "s"), trials=9)
    assert importances(run, settings_of(run)) is None


def test_where_settings_foretell_nothing_no_importance_is_told(tmp_path):
    folder = write_sweep(tmp_path / "s")
    random = np.random.default_rng(0)
    for number in range(40):
        params = {DEPTH: 1 + number % 4, "model.optimizer.init_args.lr": float(random.uniform(1e-3, 1e-2))}
        write_trial(folder, number, usdr=float(random.standard_normal()), gmacs=0.1, params=params)
    run = read_run(folder)
    assert importances(run, settings_of(run)) is None


def test_equal_scores_have_no_reasons(tmp_path):
    folder = write_sweep(tmp_path / "s")
    for number in range(12):
        write_trial(folder, number, usdr=3.0, gmacs=0.1 * (number + 1))
    assert importances(read_run(folder), settings_of(read_run(folder))) is None


def test_importances_compare_trials_that_were_trained_for_as_long(tmp_path):
    folder = write_sweep(tmp_path / "s", rungs={"unit": "epochs", "first": 1, "eta": 3, "last": 9})
    for number in range(40):
        matters, promoted = number % 2, number % 20 == 19
        first = {"val/usdr": 2.0 + matters + 0.001 * (number % 7)}
        rungs = [first, {"val/usdr": 6.0}] if promoted else [first]
        params = {"a.matters": matters, "a.irrelevant": "of the promoted" if promoted else "of the others"}
        write_trial(folder, number, rungs[-1]["val/usdr"], 0.1, state="stopped", rungs=rungs, params=params)
    run = read_run(folder)
    told = importances(run, settings_of(run))
    assert (told.amount, told.trials) == (1.0, 40)
    assert told.shares["a.matters"] > 0.9


def test_the_skips_are_compared_level_by_level(tmp_path):
    run = searched(write_sweep(tmp_path / "s"))
    chart = skip_chart(run, settings_of(run), ON_PAGE)
    found = values(spec_of(chart, ON_PAGE), "kind")
    assert {row["level"] for row in found} == {0, 1, 2, 3}
    assert len(found) == 24 + 18 + 12 + 6
    assert skip_chart(run, [], ON_PAGE) is None


def test_parallel_coordinates_lead_every_trial_over_every_axis_and_below_it_where_it_lacks_the_setting(tmp_path):
    run = searched(write_sweep(tmp_path / "s"))
    settings = settings_of(run)
    lines = values(spec_of(parallel(run, settings, {}, ON_PAGE), ON_PAGE), "key")
    by_trial = {key: {row["axis"]: row["place"] for row in lines if row["key"] == key} for key in ("0", "3")}
    assert len(lines) == 24 * (len(settings) + 2)
    assert by_trial["0"]["depth"] == 0.0
    assert by_trial["3"]["depth"] == 1.0
    assert by_trial["0"]["skip_at.3"] < 0
    assert 0 <= by_trial["3"]["skip_at.3"] <= 1


def test_a_chart_for_each_setting_is_one_that_vega_draws(tmp_path):
    run = searched(write_sweep(tmp_path / "s"))
    settings = settings_of(run)
    data = [row | fields(settings, trial) for row, trial in zip(rows(run), run.ranked, strict=True)]
    for setting in settings:
        spec = spec_of(score_by(run, setting, ON_PAPER), ON_PAPER)
        svg = vl_convert.vegalite_to_svg({**spec, "width": 300, "datasets": {"trials": data}})
        having = len([trial for trial in run.ranked if setting.has(trial)])
        assert len(re.findall(r'<path [^>]*transform="translate', svg)) == 2 * having  # each a dot, and a ring unseen
