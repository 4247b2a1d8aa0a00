import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unetsep.audio import recording as recordings
from unetsep.audio.files import InputError
from unetsep.audio.recording import open_recording


def noise(samples: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (samples, channels)).astype(np.float32)


def test_blocks_are_as_long_as_asked_for_and_put_together_the_file(tmp_path):
    soundfile.write(tmp_path / "sound.wav", noise(2500), 8000, subtype="FLOAT")
    recording = open_recording(tmp_path / "sound.wav")
    blocks = list(recording.blocks(1000))
    assert [len(block) for block in blocks] == [1000, 1000, 500]
    np.testing.assert_array_equal(np.concatenate(blocks), noise(2500))
    assert (recording.samples, recording.rate, recording.channels) == (2500, 8000, 2)


def test_a_name_given_as_text_is_a_path(tmp_path):
    soundfile.write(tmp_path / "sound.wav", noise(10), 8000)
    assert open_recording(str(tmp_path / "sound.wav")).samples == 10


def test_a_fault_is_told_with_its_place_however_the_file_is_cut_into_blocks(tmp_path):
    samples = noise(2500)
    samples[1717, 1] = np.nan
    soundfile.write(tmp_path / "sound.wav", samples, 8000, subtype="FLOAT")
    with pytest.raises(InputError, match="holds nan at sample 1717 of channel 1; export it again"):
        list(open_recording(tmp_path / "sound.wav").blocks(1000))


@pytest.mark.parametrize("script", ["exec sleep 9", "printf .snd; exec sleep 9", "exec sleep 9 >&-"])
def test_an_ffmpeg_that_hangs_is_not_waited_for(script, tmp_path, monkeypatch):
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setattr("unetsep.audio.recording._PATIENCE", 0.2)
    (tmp_path / "song.m4a").write_bytes(bytes(1000))
    with pytest.raises(InputError, match=r"song\.m4a: ffmpeg gives nothing; convert it"):
        open_recording(tmp_path / "song.m4a")


@pytest.mark.parametrize("format", ["wav", "w64", "aiff", "au"])
def test_what_ffmpeg_writes_into_a_pipe_is_read_to_its_end(format, tmp_path):
    tone = ["-f", "lavfi", "-i", "sine=d=1:r=8000", "-f", format, "pipe:1"]
    piped = subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", *tone], check=True, capture_output=True)
    (tmp_path / "piped").write_bytes(piped.stdout)
    recording = open_recording(tmp_path / "piped")
    assert sum(len(block) for block in recording.blocks(3000)) == recording.samples == 8000


def test_a_file_that_soundfile_does_not_know_needs_ffmpeg_and_says_so(tmp_path, monkeypatch):
    (tmp_path / "sound.m4a").write_bytes(bytes(100))
    monkeypatch.setattr(recordings.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match=r"no wav, flac, ogg or mp3 file; .* install the program ffmpeg"):
        open_recording(tmp_path / "sound.m4a")


def test_a_reader_that_stops_midway_leaves_no_file_open_and_no_program_running(tmp_path):
    soundfile.write(tmp_path / "sound.wav", noise(400_000), 44_100)
    encode = ["ffmpeg", "-nostdin", "-loglevel", "error", "-i", tmp_path / "sound.wav", tmp_path / "sound.m4a"]
    subprocess.run(encode, check=True)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name in ("sound.wav", "sound.m4a"):
        blocks = open_recording(tmp_path / name).blocks(100)
        next(blocks)
        blocks.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # no child, not even a dead one
