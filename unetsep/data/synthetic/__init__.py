"""Synthetic songs in the layout of MUSDB18-HQ, so that everything can be tried and tested without data."""

from unetsep.data.synthetic.dataset import SPLITS, song_of, synthesise, write_set
from unetsep.data.synthetic.song import STEMS

__all__ = ["SPLITS", "STEMS", "song_of", "synthesise", "write_set"]
