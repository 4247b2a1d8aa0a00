import json
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

from unetsep.audio.files import InputError
from unetsep.data import StemsDataModule
from unetsep.metrics import apply_masks, fixed_masks, ideal_ratio_mask, usdr
from unetsep.sweep.fold import find, put
from unetsep.sweep.judging import fingerprint_of
from unetsep.sweep.trial import CommandLine

NET = "model.separator.init_args.net"


@pytest.fixture(scope="module")
def command() -> CommandLine:
    return CommandLine("question")


def test_a_config_is_resolved_with_full_class_names_and_typed_values(command: CommandLine, config: Any) -> None:
    put(config, "model.optimizer.init_args.lr", "1e-3")
    put(config, f"{NET}.init_args.skip_at", {0: "Drop", 1: {"class_path": "Gate", "init_args": {"hidden": 2}}})
    resolved = command.resolve(config)
    assert find(resolved, f"{NET}.class_path") == "unetsep.model.DeepUNet"
    assert find(resolved, f"{NET}.init_args.skip_at.1.class_path") == "unetsep.model.Gate"
    assert find(resolved, "model.optimizer.init_args.lr") == 1e-3
    assert find(resolved, "data.sample_rate") != 44_100
    assert fingerprint_of(command.resolve(resolved)) == fingerprint_of(resolved)


def test_spelling_does_not_make_another_config(command: CommandLine, config: Any) -> None:
    other = deepcopy(config)
    put(other, f"{NET}.class_path", "unetsep.model.DeepUNet")
    put(other, f"{NET}.init_args.width", "4")
    put(other, "out", "elsewhere")
    assert fingerprint_of(command.resolve(other)) == fingerprint_of(command.resolve(config))
    put(other, f"{NET}.init_args.width", 5)
    assert fingerprint_of(command.resolve(other)) != fingerprint_of(command.resolve(config))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (f"{NET}.init_args.dpeth", 3, r"net\.init_args\.dpeth: did you mean depth"),
        (f"{NET}.init_args.depth", "deep", r"net\.init_args\.depth: expected an? int, got deep"),
        (NET, "NoSuchNet", r"net: there is no class NoSuchNet"),
        ("trainer.max_epoch", 3, r"max_epoch"),
        ("trainr.max_epochs", 3, r"there is no section trainr: did you mean trainer"),
        ("data.sample_rate", 8000, r"data\.sample_rate is taken from model\.separator\.init_args\.sample_rate"),
        ("data.seed", 1, r"data\.seed is taken from seed_everything"),
    ],
)
def test_what_the_command_line_refuses_is_refused_with_its_key(
    command: CommandLine, config: Any, key: str, value: Any, message: str
) -> None:
    put(config, key, value)
    with pytest.raises(InputError, match=message) as refusal:
        command.resolve(config)
    assert "\n" not in str(refusal.value)


def test_resolving_and_costing_a_large_network_is_quick(command: CommandLine, config: Any) -> None:
    put(config, NET, {"class_path": "DeepUNet", "init_args": {"depth": 6, "width": 64}})
    command.cost(command.resolve(config))
    start = time.perf_counter()
    card = command.cost(command.resolve(config))
    assert time.perf_counter() - start < 1.5  # a quarter of a second on a quiet machine
    assert card["params"] > 100e6
    assert card["depth"] == 6
    assert "rtf_cpu" not in card


def test_speed_is_measured_where_it_is_asked_for(config: Any) -> None:
    command = CommandLine("question", timed=True)
    assert command.cost(command.resolve(config))["rtf_cpu"] > 0


def test_a_network_that_cannot_be_built_is_refused(command: CommandLine, config: Any) -> None:
    put(config, f"{NET}.init_args.skip_at", {7: "Drop"})
    with pytest.raises(InputError, match=r"there is no such network: skip_at names level 7"):
        command.cost(command.resolve(config))


def test_a_training_returns_the_scores_of_its_best_epoch_and_tells_how_far_it_is(
    command: CommandLine, config: Any, tmp_path: Path
) -> None:
    lines: list[str] = []
    outcome = command.train(config, tmp_path / "0007", None, lines.append)
    rows = [json.loads(line) for line in (tmp_path / "0007" / "metrics.jsonl").read_text().splitlines()]
    scored = {row["epoch"]: row["val/usdr"] for row in rows if "val/usdr" in row}
    assert len(scored) == 3
    assert outcome.epoch == max(scored, key=lambda epoch: scored[epoch])
    assert outcome.scores["val/usdr"] == max(scored.values())
    assert {"val/usdr/vocals", "val/csdr", "val/seg_miou"} <= set(outcome.scores)
    assert all(name.startswith("val/") for name in outcome.scores)
    assert lines[0] == "epoch 1/3, step 1/3"
    assert lines[-1].startswith("epoch 3/3, step 3/3, val/usdr ")


def test_the_floor_is_what_fixed_masks_reach_on_the_validation_tracks(
    command: CommandLine, config: Any, tmp_path: Path, music: Path
) -> None:
    command.write_bounds(config, tmp_path)
    floor = json.loads((tmp_path / "floor.json").read_text())
    data = StemsDataModule(music, sample_rate=8000, audio_channels=1, cache=tmp_path / "cache")
    masks = fixed_masks((track.chunk() for track in data.tracks("train")), 256, 64)
    scores = []
    for track in data.tracks("valid"):
        stems = track.chunk()
        scores.append(usdr(stems, apply_masks(masks, stems.sum(0), 256, 64)))
    means = torch.stack(scores).nanmean(0)
    assert floor["usdr"] == pytest.approx(float(means.mean()))
    assert floor["usdr/vocals"] == pytest.approx(float(means[0]))
    assert {"csdr", "csdr/bass"} <= set(floor)
    assert "loss" not in floor


def test_the_bounds_are_the_mixture_and_the_ideal_mask_on_the_validation_tracks(
    command: CommandLine, config: Any, tmp_path: Path, music: Path
) -> None:
    command.write_bounds(config, tmp_path)
    tracks = [track.chunk() for track in StemsDataModule(music, sample_rate=8000, audio_channels=1).tracks("valid")]
    for name, estimates in (
        ("mixture.json", [stems.sum(0).expand_as(stems) for stems in tracks]),
        ("oracle.json", [ideal_ratio_mask(stems, 256, 64) for stems in tracks]),
    ):
        bound = json.loads((tmp_path / name).read_text())
        by_track = [usdr(stems, estimate) for stems, estimate in zip(tracks, estimates, strict=True)]
        means = torch.stack(by_track).nanmean(0)
        assert bound["usdr"] == pytest.approx(float(means.mean()))
        assert bound["usdr/vocals"] == pytest.approx(float(means[0]))
        assert "csdr/drums" in bound
        assert "loss" not in bound


def test_bounds_that_are_there_are_not_measured_again(command: CommandLine, config: Any, tmp_path: Path) -> None:
    (tmp_path / "floor.json").write_text('{"usdr": 1.25}')
    command.write_bounds(config, tmp_path)
    assert (tmp_path / "floor.json").read_text() == '{"usdr": 1.25}'
    assert {"mixture.json", "oracle.json"} <= {path.name for path in tmp_path.iterdir()}
