"""Scores of whole data sets: anybody's estimates, museval's numbers and files."""
