"""A trained separator at work: loaded from disk, exported, and on recordings of any length."""
