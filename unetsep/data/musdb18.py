"""MUSDB18, the data set of the field (Rafii et al., 2017), as far as it differs from a folder of stems.

Its `.stem.mp4` files are decoded by the package `musdb`, which needs the programs ffmpeg and ffprobe and is imported
only when a file is decoded. MUSDB18-HQ is a folder of stems like any other: only its validation tracks are named here.
"""

import importlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from unetsep.audio.files import InputError
from unetsep.data.track import Track, Waveform

STEM_FILE = ".stem.mp4"


class StemFile(Track):
    """A song of MUSDB18: one `.stem.mp4` with five AAC streams (the mixture, drums, bass, other, vocals).

    Read by `musdb`, hence rounded and clipped to 16 bit like every published score on MUSDB18.
    """

    def file(self, stem: str) -> Path:
        """The one file, for any of the five streams.

        Raises:
            InputError: if it has no such stream.
        """
        known = list(musdb_setup()["stem_ids"])
        if stem not in known:
            raise InputError(
                f"{self}: the stem {stem} is missing: {self.path.name} holds {', '.join(known)}; ask for those"
            )
        return self.path

    def has_mixture(self) -> bool:
        """Always: it is the first stream, mastered, and encoded apart from the stems."""
        return True

    def stem(self, stem: str) -> tuple[Waveform, int]:
        """One of the streams, as `Track.stem`.

        Raises:
            InputError: if there is no such stream, ffmpeg is missing or cannot decode it, or it is truncated.
        """
        path, musdb = self.file(stem), import_musdb()
        try:
            stream = musdb.MultiTrack(str(path), self.name, subset=self.split, stem_id=musdb_setup()["stem_ids"][stem])
            samples = np.asarray(stream.audio, dtype=np.float32)
        except Exception as error:  # ffmpeg.Error, Warning, AttributeError, ...: stempeg has no error of its own
            raise InputError(f"cannot read {path}: ffmpeg cannot decode it; copy the file again") from error
        if len(samples) < stream.samples:
            raise InputError(f"{path} is truncated: its header promises more than it holds; copy the file again")
        return np.ascontiguousarray(samples.reshape(len(samples), -1).T), int(stream.rate)


def download_preview(root: Path) -> None:
    """Fetches the 7-second excerpts of MUSDB18 (about 140 MB) into a folder, unless it has a `train` folder already.

    Raises:
        InputError: if ffmpeg is missing or the download fails.
    """
    if (root / "train").is_dir():
        return
    musdb = import_musdb()
    try:
        musdb.DB(root=str(root), download=True)
    except Exception as error:  # musdb lets through whatever the network, the zip file and the disk raise
        raise InputError(f"cannot download the preview of MUSDB18 into {root}: {error}; try again") from error


def import_musdb() -> Any:
    """The package `musdb`, whose import fails where ffmpeg is missing.

    Raises:
        InputError: saying what to install.
    """
    try:
        return importlib.import_module("musdb")
    except RuntimeError as error:
        raise InputError(
            f"reading MUSDB18's {STEM_FILE} files needs the programs ffmpeg and ffprobe: install them (apt-get install"
            " ffmpeg, brew install ffmpeg or conda install ffmpeg), or use MUSDB18-HQ, which needs neither"
        ) from error


@cache
def musdb_setup() -> dict[str, Any]:
    """musdb's own description of MUSDB18: its streams and its validation tracks, readable without ffmpeg."""
    spec = importlib.util.find_spec("musdb")
    assert spec is not None
    assert spec.origin is not None
    setup: dict[str, Any] = yaml.safe_load((Path(spec.origin).parent / "configs" / "mus.yaml").read_text("utf-8"))
    return setup
