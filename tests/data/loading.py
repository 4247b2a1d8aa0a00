"""Small data modules, and what comes out of their loaders."""

import torch

from unetsep.data import StemsDataModule


def module(root, **settings):
    small = {"sample_rate": 8000, "segment_seconds": 0.1, "batch_size": 2, "batches_per_epoch": 3}
    return StemsDataModule(root, **(small | settings))


def epochs(loader, *numbers):
    """All batches of these epochs, as (stems, tracks)."""
    batches = []
    for number in numbers:
        loader.sampler.set_epoch(number)
        batches += list(loader)
    return batches


def same(ours, theirs):
    ours, theirs = list(ours), list(theirs)
    assert [batch.tracks for batch in ours] == [batch.tracks for batch in theirs]
    return all(torch.equal(one.stems, two.stems) for one, two in zip(ours, theirs, strict=True))
