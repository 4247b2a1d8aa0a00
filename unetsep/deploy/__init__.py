"""A trained separator at work: loading it from a checkpoint, and separating files."""
