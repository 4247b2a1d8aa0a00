from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from unetsep.audio.files import InputError, read_audio
from unetsep.data import Batch
from unetsep.training.listening import Listening, StemsWriter, file_name, telling_start

RATE = 1000
MODULE: Any = SimpleNamespace(separator=SimpleNamespace(sources=("vocals", "drums"), sample_rate=RATE))


def noise(seconds: float, *levels: float) -> Tensor:
    """(source, channel, sample)."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(len(levels), 1, round(seconds * RATE), generator=generator) * torch.tensor(levels)[:, None, None]


def trainer(score: float, stage: str = "fit") -> Any:
    return SimpleNamespace(
        callback_metrics={"val/usdr": torch.tensor(score)},
        sanity_checking=False,
        is_global_zero=True,
        loggers=[],
        global_step=1,
        state=SimpleNamespace(fn=stage),
    )


def validate(listening: Listening, score: float, level: float) -> None:
    """One validation whose estimates are constant at a level."""
    stems = noise(3, 0.1, 0.1)
    listening.on_validation_batch_end(
        trainer(score), MODULE, torch.full_like(stems, level), Batch(stems[None], ["a song"]), 0
    )
    listening.on_validation_end(trainer(score), MODULE)


def heard(folder: Any) -> float:
    return float(read_audio(folder / "audio" / "a song_vocals_estimate.flac")[0].mean())


def test_the_stretch_is_where_the_faintest_stem_is_loudest():
    stems = noise(10, 1.0, 0.1)
    stems[1, :, :6000] = 0  # the quiet stem plays from 6 s on
    stems[0, :, 8000:] *= 0.01  # and the loud one until 8 s
    assert telling_start(stems, RATE, 2.0) == 6000


def test_a_stem_that_never_plays_does_not_decide_where_to_listen():
    stems = noise(5, 1.0, 0.0)
    stems[0, :, :3000] = 0
    assert telling_start(stems, RATE, 2.0) == 3000


def test_a_short_or_silent_track_is_heard_from_its_start():
    assert telling_start(noise(1, 1, 1), RATE, 2.0) == 0
    assert telling_start(noise(5, 0, 0), RATE, 2.0) == 0


def test_every_sound_and_picture_of_a_track_lies_in_the_folder(tmp_path):
    validate(Listening(tmp_path, seconds=1.0), 1.0, 0.25)
    names = {"mixture", "vocals_reference", "vocals_estimate", "drums_reference", "drums_estimate"}
    assert {path.name for path in (tmp_path / "audio").iterdir()} == {f"a song_{name}.flac" for name in names}
    pictures = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert pictures == {"a song_spectrograms.png", "a song_segmentation.png"}
    mixture, rate = read_audio(tmp_path / "audio" / "a song_mixture.flac")
    assert (rate, mixture.shape) == (RATE, (1, RATE))
    assert heard(tmp_path) == pytest.approx(0.25, abs=1e-4)


def test_the_folder_holds_what_the_best_weights_made(tmp_path):
    listening = Listening(tmp_path, seconds=1.0)
    for score, level in ((1.0, 0.1), (2.0, 0.2), (1.5, 0.3)):
        validate(listening, score, level)
    assert heard(tmp_path) == pytest.approx(0.2, abs=1e-4)


def test_after_a_stop_only_a_better_score_is_heard(tmp_path):
    validate(Listening(tmp_path, seconds=1.0), 2.0, 0.2)
    again = Listening(tmp_path, seconds=1.0)
    again.load_state_dict({"best": 2.0})
    validate(again, 1.0, 0.1)
    assert heard(tmp_path) == pytest.approx(0.2, abs=1e-4)
    validate(again, 3.0, 0.3)
    assert heard(tmp_path) == pytest.approx(0.3, abs=1e-4)


def test_every_0_draws_the_best_once_at_the_end(tmp_path):
    listening = Listening(tmp_path, seconds=1.0, every=0)
    for score, level in ((2.0, 0.2), (1.0, 0.1)):
        validate(listening, score, level)
    assert heard(tmp_path) == pytest.approx(0.2, abs=1e-4)
    assert not (tmp_path / "pictures").exists()
    listening.on_fit_end(trainer(1.0), MODULE)
    assert len(list((tmp_path / "pictures").iterdir())) == 2


def test_what_a_stopped_run_had_not_drawn_is_drawn_at_the_end_of_the_next(tmp_path):
    validate(Listening(tmp_path, seconds=1.0, every=0), 2.0, 0.2)
    again = Listening(tmp_path, seconds=1.0, every=0)
    again.load_state_dict({"best": 2.0})
    validate(again, 1.0, 0.1)
    again.on_fit_end(trainer(1.0), MODULE)
    assert heard(tmp_path) == pytest.approx(0.2, abs=1e-4)
    assert len(list((tmp_path / "pictures").iterdir())) == 2


def test_pictures_are_drawn_again_only_where_there_is_something_new(tmp_path):
    listening = Listening(tmp_path, seconds=1.0)
    validate(listening, 2.0, 0.2)
    drawn = {path: path.stat().st_mtime_ns for path in (tmp_path / "pictures").iterdir()}
    validate(listening, 1.0, 0.1)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "pictures").iterdir()} == drawn
    validate(listening, 3.0, 0.3)
    assert all(path.stat().st_mtime_ns > before for path, before in drawn.items())


def test_predicted_stems_louder_than_full_scale_are_not_clipped(tmp_path):
    stems = torch.stack([torch.full((1, 100), 1.5), torch.full((1, 100), 1e-6)])
    batch: Any = Batch(stems[None], ["a song"])
    StemsWriter(tmp_path).write_on_batch_end(trainer(1.0, "predict"), MODULE, stems, None, batch, 0, 0)
    for name, stem in zip(("vocals", "drums"), stems, strict=True):
        written, _ = read_audio(tmp_path / "stems" / "a song" / f"{name}.wav")
        assert torch.equal(torch.from_numpy(written), stem)


def test_settings_out_of_range_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"seconds 0.*seconds above 0"):
        Listening(tmp_path, seconds=0)


def test_a_track_named_like_a_path_stays_in_its_folder():
    assert file_name("AC/DC: T.N.T.") == "AC_DC_ T.N.T."
