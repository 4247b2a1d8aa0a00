import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml

from unetsep.audio.files import InputError
from unetsep.cli import UnetsepCLI
from unetsep.report.reading import read_run, read_runs
from unetsep.report.run import Run
from unetsep.report.workspace import publish, specification, write_spec

from .wandb_server import log_out, serving
from .whole_sweeps import write_depth_sweep, write_large_sweep

NET = "model.separator.init_args.net.init_args."
SETTINGS = (
    {"base": "base/deep_unet.yaml", NET + "block": "ConvBlock", NET + "skip_at": {}, NET + "width": 4},
    {"base": "base/tfc_tdf.yaml", NET + "block": "TFCTDF", NET + "skip_at": {0: "Drop"}, NET + "width": 6},
)
"""What was suggested for the two trials: a class, a mapping of levels and a base are logged in another form."""


@pytest.fixture(scope="module")
def trained(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A sweep of two trials, really trained, with its offline runs."""
    sweep = tmp_path_factory.mktemp("runs") / "tiny"
    for number, params in enumerate(SETTINGS):
        given = {"depth": 1, **{key.removeprefix(NET): value for key, value in params.items() if key != "base"}}
        kind = {"class_path": "UNet", "init_args": given}
        separator = {"audio_channels": 1, "sample_rate": 8000, "n_fft": 256, "hop": 64, "net": kind}
        folder = sweep / "trials" / f"{number:04d}"
        command = UnetsepCLI(
            args={
                "out": str(folder),
                "group": "tiny",
                "wandb": "offline",
                "model": {"separator": {"class_path": "Separator", "init_args": separator}, "segment_seconds": 1.0},
                "data": {
                    "root": str(music),
                    "segment_seconds": 0.5,
                    "batch_size": 2,
                    "batches_per_epoch": 2,
                    "cache": str(tmp_path_factory.mktemp("cache")),
                },
                "trainer": {
                    "max_epochs": 1,
                    "log_every_n_steps": 1,
                    "enable_progress_bar": False,
                    "accelerator": "cpu",
                },
                "listening": {"tracks": 1, "seconds": 1.0},
            },
            run=False,
        )
        best = command.fit()
        result = {
            "number": number,
            "state": "complete",
            "scores": {key: value for key, value in best.items() if key.startswith("val/")},
            "cost": command.cost(),
            "params": params,
            "seconds": 1.0,
            "epoch": 0,
        }
        (folder / "result.json").write_text(json.dumps(result))
    objectives = {"val/usdr": "maximize", "cost/gmacs_per_second": "minimize"}
    (sweep / "sweep.yaml").write_text(yaml.safe_dump({"question": "How shallow?", "objectives": objectives}))
    return read_run(sweep)


@pytest.fixture(scope="module")
def logged(trained: Run) -> list[dict[str, Any]]:
    """What the two runs hold, read by Weights & Biases' own reader: config, summary, and the keys of the history."""
    wandb.teardown()
    program = shutil.which("wandb") or str(Path(sys.executable).with_name("wandb"))
    runs = []
    for trial in trained.trials:
        inspect = [program, "leet", "inspect", "--json", str(trial.folder / "wandb")]
        summary = subprocess.run([*inspect, "--summary"], check=True, capture_output=True, text=True).stdout
        lines = subprocess.run(inspect, check=True, capture_output=True, text=True).stdout.splitlines()
        records = [record for line in lines if (record := json.loads(line))["type"] == "history"]
        keys = {key for record in records for key in record["history"]["item"]}
        runs.append({**json.loads(summary), "history": keys})
    return runs


def grids(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [block["metadata"] for block in spec["spec"]["blocks"] if block["type"] == "panel-grid"]


def panels(spec: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    found = [panel for grid in grids(spec) for panel in grid["panelBankSectionConfig"]["panels"]]
    return [panel["config"] for panel in found if panel["viewType"] == kind]


def accessors(spec: dict[str, Any]) -> Iterator[str]:
    for plot in panels(spec, "Scatter Plot"):
        yield from (plot["xAxis"], plot["yAxis"])
    for plot in panels(spec, "Parallel Coordinates Plot"):
        yield from (column["accessor"] for column in plot["columns"])
    yield from (f"config:{plot['groupBy']}" for plot in panels(spec, "Bar Chart"))
    for grid in grids(spec):
        yield from grid["runSets"][0]["runFeed"]["columnOrder"]


def in_config(run: dict[str, Any], accessor: str) -> Any:
    """The value at `model.value.separator...`; Weights & Biases wraps every key of the first level so."""
    first, wrapping, *rest = accessor.split(".")
    assert wrapping == "value"
    value = run["config"].get(first)
    for key in rest:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def test_every_key_of_every_panel_is_one_that_the_runs_really_log(trained, logged):
    spec = specification(trained)
    kinds = {"config": 0, "summary": 0}
    for accessor in accessors(spec):
        kind, _, key = accessor.partition(":")
        kinds[kind] += 1
        if kind == "config":
            found = [value for run in logged if (value := in_config(run, key)) is not None]
            assert found, accessor
            assert not any(isinstance(value, dict) for value in found), accessor
        else:
            assert all(isinstance(run["summary"].get(key), int | float) for run in logged), accessor
    assert min(kinds.values()) > 5
    for key in [plot["targetKey"] for plot in panels(spec, "Parameter Importance")] + [
        metric for plot in panels(spec, "Bar Chart") for metric in plot["metrics"]
    ]:
        assert all(isinstance(run["summary"].get(key), float) for run in logged), key
    for plot in panels(spec, "Run History Line Plot"):
        assert {plot["xAxis"], *plot["metrics"]} <= logged[0]["history"]
    media = [key for browser in panels(spec, "Media Browser") for key in browser["mediaKeys"]]
    kinds = {key: run["summary"][key]["_type"] for run in logged for key in media}
    assert {kinds[key] for key in media} == {"audio-file", "image-file"}
    assert len(media) == len(set(media)) == 9 + 2  # mixture, references and estimates of four stems; two pictures


def test_the_report_has_all_kinds_of_panels(trained):
    spec = specification(trained)
    numbers = {panel["viewType"]: 0 for grid in grids(spec) for panel in grid["panelBankSectionConfig"]["panels"]}
    assert set(numbers) == {
        "Scatter Plot",
        "Parallel Coordinates Plot",
        "Parameter Importance",
        "Bar Chart",
        "Run History Line Plot",
        "Media Browser",
        "Run Comparer",
    }


def test_a_panel_shows_the_values_that_tell_the_trials_apart(trained, logged):
    [plot] = panels(specification(trained), "Parallel Coordinates Plot")
    columns = {column["displayName"]: column["accessor"].removeprefix("config:") for column in plot["columns"]}
    shown = {name: [in_config(run, columns[name]) for run in logged] for name in ("width", "block")}
    assert shown["width"] == [4, 6]
    assert [name.rpartition(".")[2] for name in shown["block"]] == ["ConvBlock", "TFCTDF"]
    [skip] = [accessor for accessor in columns.values() if ".skip_at." in accessor]
    assert [str(in_config(run, skip)).rpartition(".")[2] for run in logged] == ["None", "Drop"]


def test_the_front_is_score_over_cost_with_the_best_so_far_as_a_line(trained):
    plot, *_ = panels(specification(trained), "Scatter Plot")
    assert (plot["xAxis"], plot["yAxis"]) == ("summary:cost/gmacs_per_second", "summary:best/usdr")
    assert plot["xAxisLogScale"]
    assert plot["showMaxYAxisLine"]


def test_stems_are_compared_by_every_choice(trained):
    plots = {plot["chartTitle"]: plot for plot in panels(specification(trained), "Bar Chart")}
    assert {"usdr, dB by block", "usdr, dB by width"} <= set(plots)
    for plot in plots.values():
        assert plot["metrics"] == [f"best/usdr/{stem}" for stem in trained.stems]
        assert (plot["groupAgg"], plot["groupArea"], plot["aggregate"]) == ("mean", "stddev", True)


def test_the_runs_of_the_sweep_alone_are_shown_best_first_and_those_on_the_front_by_their_ids(trained, logged):
    spec = specification(trained)
    first, *_, last = [grid["runSets"][0] for grid in grids(spec)]
    [filtered] = first["filters"]["filters"]
    assert (filtered["key"], filtered["op"]) == ({"section": "run", "name": "group"}, "IN")
    assert filtered["value"] == ["tiny"] == [run["config"]["group"] for run in logged[:1]]
    assert first["sort"]["keys"] == [{"key": {"section": "summary", "name": "best/usdr"}, "ascending": False}]
    [filtered] = last["filters"]["filters"]
    assert filtered["key"] == {"section": "run", "name": "name"}  # which is what an id is called there
    assert filtered["value"] == [logged[trial.number]["run_id"] for trial in trained.front]


def test_question_and_answer_stand_at_the_top_as_text(trained):
    spec = specification(trained)
    words = json.dumps(spec["spec"]["blocks"], ensure_ascii=False)
    assert spec["displayName"] == "How shallow?"
    assert f"trial {trained.front[0].number} is best" in words.replace("Trial", "trial")
    assert "signal-to-distortion ratio" in words


def test_several_sweeps_are_compared_by_sweep(tmp_path):
    runs = [write_large_sweep(tmp_path / name, 12, rungs=None) for name in ("one", "two")]
    spec = specification(read_runs(runs))
    assert grids(spec)[0]["runSets"][0]["filters"]["filters"][0]["value"] == ["one", "two"]
    assert panels(spec, "Bar Chart")[0]["groupBy"] == "group"


def test_a_base_is_logged_as_its_network_and_a_depth_that_follows_from_it_as_a_cost(tmp_path):
    folder = write_depth_sweep(tmp_path / "depth")
    for path in folder.glob("trials/*/result.json"):
        result = json.loads(path.read_text())
        base = result["params"]["base"]
        result["params"] = {"base": base}
        path.write_text(json.dumps(result))
        config = {"model": {"separator": {"init_args": {"net": {"class_path": f"unetsep.model.{Path(base).stem}"}}}}}
        path.with_name("config.yaml").write_text(yaml.safe_dump(config))
    spec = specification(read_run(folder))
    [plot] = panels(spec, "Parallel Coordinates Plot")
    columns = {column["displayName"]: column["accessor"] for column in plot["columns"]}
    assert columns["base"] == "config:model.value.separator.init_args.net.class_path"
    assert columns["depth"] == "summary:cost/depth"
    [plot] = panels(spec, "Bar Chart")  # grouped by the base: costs group no bars
    assert plot["groupBy"] == "model.value.separator.init_args.net.class_path"


def test_a_specification_is_written_whole_and_can_be_read_back(trained, tmp_path):
    write_spec(trained, tmp_path / "specs" / "report.json")
    spec = json.loads((tmp_path / "specs" / "report.json").read_text(encoding="utf-8"))
    assert spec["displayName"] == "How shallow?"
    assert spec["project"]["name"] == "unetsep"
    assert str(tmp_path.parent) not in json.dumps(spec)


def test_a_report_is_published_as_specified(trained, monkeypatch, tmp_path, capfd):
    with serving(monkeypatch, tmp_path) as server:
        address = publish(trained, "team/music")
    [report] = server.reports
    assert (report["entityName"], report["projectName"]) == ("team", "music")
    assert report["displayName"] == "How shallow?"
    sent, made = json.loads(report["spec"]), specification(trained)["spec"]
    assert [block["type"] for block in sent["blocks"]] == [block["type"] for block in made["blocks"]]
    assert address == f"{server.url}/team/music/reports/How-shallow%3F--VmlldzoxMjM="
    assert "Saved report to" not in capfd.readouterr().err


@pytest.mark.parametrize("project", ["music", "a/b/c", "/music", "team/", ""])
def test_a_report_needs_entity_and_project(trained, project):
    with pytest.raises(InputError, match="must be ENTITY/PROJECT, such as my-team/unetsep"):
        publish(trained, project)


def test_publishing_without_a_login_says_what_to_do(trained, monkeypatch, tmp_path):
    log_out(monkeypatch, tmp_path)
    with pytest.raises(InputError, match="run `wandb login`, or set WANDB_API_KEY"):
        publish(trained, "team/music")
