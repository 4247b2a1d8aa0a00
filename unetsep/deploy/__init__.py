"""A trained separator at work: loading it from a checkpoint, and separating files."""

from unetsep.deploy.separate import main, separate_file, separate_waveform
from unetsep.deploy.weights import find_checkpoint, load_separator

__all__ = ["find_checkpoint", "load_separator", "main", "separate_file", "separate_waveform"]
