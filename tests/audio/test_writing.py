import json
import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from unetsep.audio.recording import open_recording
from unetsep.audio.writing import writing_stems


@pytest.mark.slow
def test_a_wav_beyond_4_gb_is_read_back_whole_by_us_and_by_others(tmp_path):
    if (free := shutil.disk_usage(tmp_path).free) < 10e9:
        pytest.skip(f"needs 10 GB of room for a file of 4 GB, but {tmp_path} has {free / 1e9:.1f}")
    rate, channels, step = 48_000, 64, 1 << 16
    steps = 2**32 // (step * channels * 4) + 1
    samples = steps * step + 4321
    try:
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, (step, channels)).astype(np.float32)
        with writing_stems(
            tmp_path / "song", ["other"], format="wav", rate=rate, channels=channels, samples=samples
        ) as files:
            for number in range(steps + 1):
                files.write({"other": noise[: samples - number * step] * (number + 1)})
        path = tmp_path / "song" / "other.wav"
        assert path.stat().st_size > samples * channels * 4 > 2**32
        with path.open("rb") as file:
            assert file.read(4) == b"RF64"

        recording = open_recording(path)
        assert (recording.samples, recording.rate, recording.channels) == (samples, rate, channels)
        found = 0
        for number, block in enumerate(recording.blocks(step)):
            np.testing.assert_array_equal(block, noise[: len(block)] * (number + 1))
            found += len(block)
        assert found == samples

        assert soundfile.info(path).frames == samples
        if shutil.which("ffprobe"):
            asked = ["-v", "error", "-show_entries", "stream=duration_ts,channels", "-of", "json", path]
            told = subprocess.run(["ffprobe", *asked], check=True, capture_output=True, text=True).stdout
            (stream,) = json.loads(told)["streams"]
            assert (stream["channels"], stream["duration_ts"]) == (channels, samples)
    finally:
        shutil.rmtree(tmp_path / "song", ignore_errors=True)  # pytest keeps the folders of three runs
