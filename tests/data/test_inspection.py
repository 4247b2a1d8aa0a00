import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import stempeg
from matplotlib.image import imread

from unetsep.__main__ import main as unetsep
from unetsep.audio.files import InputError
from unetsep.audio.pixels import SOURCE_COLOURS
from unetsep.data.inspection import check, show
from unetsep.data.verbs import main


@pytest.fixture
def mixed_set(tmp_path, write_track):
    """A training and a test track of two seconds, with mixtures that are the sums of the stems."""
    for seed, name in enumerate(["train/a", "test/b"]):
        write_track(tmp_path / "set" / name, samples=16_000, seed=seed, mixture=True)
    return tmp_path / "set"


def rewrite(path, change):
    sound, rate = soundfile.read(path, always_2d=True)
    soundfile.write(path, change(sound), rate, subtype="FLOAT")


def problems(root, capsys, **settings):
    """The lines that name what is wrong."""
    with pytest.raises(InputError) as caught:
        check(root, **settings)
    lines = [line.removeprefix("problem: ") for line in capsys.readouterr().err.splitlines() if line]
    assert "\n" not in str(caught.value)
    if not lines:  # one problem is the refusal itself
        return [str(caught.value)]
    assert f"{len(lines)} problems" in str(caught.value)
    return lines


def row(output, *beginning):
    """The columns of the line that begins with a split and a track's name."""
    (line,) = [line for line in output.splitlines() if line.split()[: len(beginning)] == list(beginning)]
    return line.split()[len(beginning) :]


def test_a_sound_set_is_described_track_by_track_and_in_all(mixed_set, capsys):
    rewrite(mixed_set / "train/a/drums.wav", lambda sound: sound * (np.arange(len(sound)) < 8000)[:, None])
    rewrite(mixed_set / "train/a/mixture.wav", lambda sound: sound * 0 + 0.5)
    check(mixed_set)
    output = capsys.readouterr().out
    silent = ["0", "%", "50", "%", "0", "%", "0", "%"]
    assert row(output, "train", "a")[:-2] == ["2.0", "8000", "2", *silent]
    assert row(output, "test", "b")[:-1] == ["2.0", "8000", "2", *["0", "%"] * 4]
    assert row(output, "train", "=", "1", "track")[:-2] == ["2.0", "8000", "2", *silent]


def test_the_residual_of_mixture_minus_sum_is_in_decibels_of_the_mixture(mixed_set, capsys):
    rewrite(mixed_set / "train/a/mixture.wav", lambda sound: sound / 0.9)  # a tenth of it is not explained: -20 dB
    check(mixed_set)
    output = capsys.readouterr().out
    assert row(output, "train", "a")[-2:] == ["-20.0", "dB"]
    assert row(output, "test", "b")[-1:] == ["exact"]


def test_sixty_decibels_below_full_scale_is_the_border_of_silence(mixed_set, capsys):
    level = {"vocals": -59.9, "drums": -60.1}
    for source, level_db in level.items():
        rewrite(mixed_set / f"test/b/{source}.wav", lambda sound, db=level_db: 0 * sound + 10 ** (db / 20))
    check(mixed_set)
    assert row(capsys.readouterr().out, "test", "b")[3:7] == ["0", "%", "100", "%"]


def test_tracks_without_a_mixture_and_mono_beside_stereo_are_no_problem(small_set, capsys):
    rewrite(small_set / "train/a/bass.wav", lambda sound: sound[:, :1])
    check(small_set)
    columns = row(capsys.readouterr().out, "train", "a")
    assert columns[2] == "1/2"
    assert columns[-2:] == ["no", "mixture"]


def test_musdb18_is_checked_with_its_mastered_mixture(tmp_path, capsys):
    (tmp_path / "test").mkdir()
    shutil.copy(stempeg.example_stem_path(), tmp_path / "test" / "Falcon.stem.mp4")
    check(tmp_path)
    assert row(capsys.readouterr().out, "test", "Falcon") == ["6.1", "44100", "2", *["0", "%"] * 4, "-15.4", "dB"]


def remove(path: Path) -> None:
    path.unlink()


def shorten(path: Path) -> None:
    rewrite(path, lambda sound: sound[:-1])


def make_faster(path: Path) -> None:
    sound, _ = soundfile.read(path)
    soundfile.write(path, sound, 16_000)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def garble(path: Path) -> None:
    path.write_bytes(b"no sound at all")


def empty(path: Path) -> None:
    soundfile.write(path, np.zeros((0, 2)), 8000)


def poison(path: Path) -> None:
    def change(sound):
        sound[7, 1] = np.nan
        return sound

    rewrite(path, change)


def surround(path: Path) -> None:
    rewrite(path, lambda sound: np.repeat(sound, 3, axis=1))


DAMAGES = [
    (remove, "train/a: the stem drums is missing"),
    (shorten, "train/a: drums has 15999 samples, but vocals has 16000"),
    (make_faster, "train/a: drums has 16000 Hz, but vocals has 8000 Hz"),
    (truncate, "drums.wav is truncated"),
    (garble, "cannot read"),
    (empty, "drums.wav holds no samples"),
    (poison, "drums.wav holds nan at sample 7 of channel 1"),
    (surround, "train/a: drums has 6 channels"),
]


@pytest.mark.parametrize(("damage", "line"), DAMAGES, ids=[damage.__name__ for damage, _ in DAMAGES])
def test_every_kind_of_damage_is_one_clear_line(mixed_set, capsys, damage, line):
    damage(mixed_set / "train/a/drums.wav")
    (found,) = problems(mixed_set, capsys)
    assert line in found
    assert "drums" in found


def test_every_problem_of_a_set_is_named_not_only_the_first(mixed_set, capsys):
    remove(mixed_set / "train/a/drums.wav")
    poison(mixed_set / "train/a/bass.wav")
    shorten(mixed_set / "test/b/mixture.wav")
    (mixed_set / "valid").mkdir()
    found = problems(mixed_set, capsys)
    assert len(found) == 4
    for part in ("stem drums is missing", "bass.wav holds nan", "mixture has 15999 samples", "no tracks in"):
        assert sum(part in line for line in found) == 1


def test_the_residual_is_left_open_while_a_stem_is_missing(mixed_set, capsys):
    remove(mixed_set / "train/a/drums.wav")
    with pytest.raises(InputError):
        check(mixed_set)
    assert row(capsys.readouterr().out, "train", "a") == ["2.0", "8000", "2", "0", "%", "-", "0", "%", "0", "%", "-"]


def test_a_damaged_stem_file_is_named_once_not_once_a_stem(tmp_path, capsys):
    (tmp_path / "train").mkdir()
    garble(tmp_path / "train" / "song.stem.mp4")
    (found,) = problems(tmp_path, capsys)
    assert "song.stem.mp4: ffmpeg cannot decode it" in found


def test_an_empty_and_a_missing_root_are_named(tmp_path, capsys):
    (found,) = problems(tmp_path, capsys)
    assert found.startswith(f"no tracks in {tmp_path}: put a folder per track there")
    with pytest.raises(InputError, match=r"there is no folder .*nowhere"):
        check(tmp_path / "nowhere")


def test_the_command_line_ends_with_exit_code_2_and_one_line_for_a_problem(mixed_set, capsys):
    make_faster(mixed_set / "train/a/drums.wav")
    assert unetsep(["data", "check", str(mixed_set)]) == 2
    problem = "train/a: drums has 16000 Hz, but vocals has 8000 Hz: export all stems at one sample rate"
    assert capsys.readouterr().err == f"unetsep: {problem}\n"


def test_other_stem_names_are_checked_when_asked_for(tmp_path, write_track, capsys):
    write_track(tmp_path / "train" / "song", sources=("voice", "piano"))
    main(["check", str(tmp_path), "--sources", "piano", "voice"])
    assert "silent piano  silent voice" in capsys.readouterr().out


def test_show_draws_the_spectrograms_and_the_map_of_a_track(mixed_set, tmp_path, capsys):
    for source in ("vocals", "bass", "other"):
        rewrite(mixed_set / f"test/b/{source}.wav", lambda sound: sound * 1e-3)
    main(["show", str(mixed_set), "--track", "b", "--out", str(tmp_path / "pictures")])
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name for path in paths] == ["b-spectrograms.png", "b-segmentation.png"]
    pixels = np.rint(255 * imread(paths[1])[..., :3])
    drums = np.array([int(SOURCE_COLOURS["drums"][i : i + 2], 16) for i in (1, 3, 5)])
    assert (np.abs(pixels - drums).max(axis=-1) <= 1).mean() > 0.5  # noise is as loud everywhere: drums own all of it


def test_show_draws_a_part_and_takes_the_split_before_the_name(mixed_set, tmp_path):
    shutil.copytree(mixed_set / "test/b", mixed_set / "train/b")
    paths = show(mixed_set, "train/b", tmp_path, start=1.0, seconds=0.001)
    assert all(path.is_file() for path in paths)
    with pytest.raises(InputError, match=r"test/b from 2\.0 s on: it has 2\.0 s"):
        show(mixed_set, "test/b", tmp_path, start=2.0)


def test_an_unknown_track_is_answered_with_the_closest_names(small_set, tmp_path):
    (small_set / "train/a").rename(small_set / "train/Lithium")
    with pytest.raises(InputError, match=r"there is no track 'lithum' in .*: did you mean 'Lithium'\?"):
        show(small_set, "lithum", tmp_path)


def test_synth_writes_a_set_that_is_sound(tmp_path, capsys):
    out = tmp_path / "synthetic"
    counts = ["--train", "1", "--valid", "1", "--test", "0"]
    main(["synth", "--out", str(out), *counts, "--seconds", "2", "--seed", "3"])
    check(out)
    output = capsys.readouterr().out
    assert row(output, "train", "=", "1", "track")[:3] == ["2.0", "44100", "2"]
    assert row(output, "valid", "=", "1", "track")[:3] == ["2.0", "44100", "2"]


def test_help_is_given_without_importing_torch():
    program = (
        "import sys\nfrom unetsep.data.verbs import main\n"
        "try: main(['--help'])\nexcept SystemExit as end: assert end.code == 0\n"
        "assert 'torch' not in sys.modules"
    )
    assert "synth" in subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
