"""What is written is what museval reads, and what is computed is what museval computes."""

import json
import math
import subprocess
import sys
from importlib.metadata import version

import museval
import numpy as np
import pytest
import torch

from unetsep.evaluation.records import MEASURES, read_record
from unetsep.evaluation.tables import table_scores
from unetsep.evaluation.verification import Difference, described, verify

from .songs import RATE, STEMS, TRACKS, estimates_of, song


def tensors(stems):
    return torch.stack([torch.from_numpy(stem) for stem in stems.values()]).float()


def frames_of(references, estimates):
    """museval's own frames as a record holds them."""
    arrays = [[stem.T.double().numpy() for stem in stems] for stems in (references, estimates)]
    sdr, isr, sir, sar, _ = museval.metrics.bss_eval(*map(np.stack, arrays), window=RATE, hop=RATE)
    rows = dict(zip(MEASURES, (sdr, isr, sir, sar), strict=True))
    return {stem: {name: row[index].tolist() for name, row in rows.items()} for index, stem in enumerate(STEMS)}


def test_museval_reads_the_files_and_finds_the_tables_numbers(evaluated):
    store = museval.EvalStore()
    store.add_eval_dir(evaluated)
    theirs = store.agg_frames_tracks_scores()
    ours = table_scores([read_record(evaluated / f"test/{track}.json") for track in TRACKS], STEMS)
    for stem in STEMS:
        for measure in MEASURES:
            mine = ours["csdr" if measure == "SDR" else measure][stem]
            assert theirs[stem][measure] == pytest.approx(mine, abs=1e-12)


def test_museval_compares_the_evaluation_with_others_by_the_folders_name(evaluated):
    store = museval.MethodStore()
    store.add_eval_dir(evaluated)
    assert set(store.df["method"]) == {"out"}
    assert set(store.df["track"]) == set(TRACKS)


def test_the_files_keep_to_musevals_schema_and_have_its_keys(evaluated):
    store = museval.TrackStore("one")
    store.add_target("vocals", {name: [1.0] for name in MEASURES})
    theirs = json.loads(store.json)
    ours = json.loads((evaluated / "test/one.json").read_text())
    store.scores = ours
    store.validate()
    assert ours["museval_version"] == theirs["museval_version"]
    assert [target["name"] for target in ours["targets"]] == list(STEMS)
    frames = ours["targets"][0]["frames"]
    assert frames[0].keys() == theirs["targets"][0]["frames"][0].keys()
    assert frames[0]["metrics"].keys() == theirs["targets"][0]["frames"][0]["metrics"].keys()
    assert [(frame["time"], frame["duration"]) for frame in frames] == [(0, 1), (1, 1), (2, 1), (3, 1)]


def test_infinite_frames_are_nan_as_museval_saves_them(evaluate, data, tmp_path):
    assert evaluate("--estimates", data) == 0
    record = read_record(tmp_path / "out/test/one.json")
    assert all(math.isnan(value) for stem in STEMS for value in record.frames[stem]["SDR"])
    assert math.isfinite(record.usdr["vocals"])


def test_verifying_says_the_largest_difference_also_for_tracks_that_are_done(evaluate, evaluated, estimates, capsys):
    assert evaluate("--estimates", estimates, "--verify", "3") == 0
    line = " ".join(capsys.readouterr().out.split()).split("for nothing. ")[1]
    assert line.startswith(f"museval {version('museval')} on 3 tracks: largest difference ")
    assert line.endswith(", the same frames are NaN")
    assert float(line.split("difference ")[1].split(" dB")[0]) < 1e-6


def test_another_result_than_musevals_is_exit_code_1(evaluate, evaluated, estimates, monkeypatch, capsys):
    wrong = Difference(0.5, "SIR of bass in one, frame 2", True)
    monkeypatch.setattr("unetsep.evaluation.scoring.verify", lambda *given: wrong)
    assert evaluate("--estimates", estimates, "--verify") == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "largest difference 5.0e-01 dB (SIR of bass in one, frame 2)" in told
    assert "NOT MUSEVAL'S RESULT" in told


def test_a_wrong_value_and_a_wrong_nan_are_found():
    references, estimates = tensors(song(0)), tensors(estimates_of(0))
    frames = frames_of(references, estimates)
    assert verify("one", frames, references, estimates, RATE) == Difference(0.0, "", True)
    frames["drums"]["ISR"][2] += 1e-3
    found = verify("one", frames, references, estimates, RATE)
    assert found.decibels == pytest.approx(1e-3)
    assert found.where == "ISR of drums in one, frame 2"
    assert not found.agrees
    frames["drums"]["ISR"][2] = math.nan
    assert not verify("one", frames, references, estimates, RATE).nan_frames_agree


def test_stems_and_estimates_that_museval_refuses_are_left_out():
    references, estimates = tensors(song(0)), tensors(estimates_of(0))
    frames = frames_of(references, estimates)
    estimates[1] = 0.0
    frames["drums"] = {measure: [0.0] * 4 for measure in MEASURES}
    assert verify("one", frames, references, estimates, RATE).agrees
    assert verify("one", frames, 0 * references, estimates, RATE) == Difference()


def test_what_only_rounding_decides_is_not_compared():
    references = tensors(song(0))
    mixtures = references.sum(0).expand_as(references)
    frames = frames_of(references, mixtures)
    assert min(np.nanmin(frames[stem]["SAR"]) for stem in STEMS) > 100
    frames["bass"]["SAR"] = [value + 10 for value in frames["bass"]["SAR"]]
    assert verify("one", frames, references, mixtures, RATE).agrees


def test_several_differences_become_the_largest():
    small, large = Difference(1e-9, "a"), Difference(1e-3, "b", False)
    assert small | large == large | small == large
    assert "OTHER FRAMES ARE NaN" in described(large, 1)


def test_museval_is_found_without_the_package_that_needs_ffmpeg():
    script = (
        "import sys; from unetsep.evaluation.verification import _museval; _museval().bss_eval;"
        "print({'musdb', 'pandas', 'museval'} & set(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert printed == "set()\n"
