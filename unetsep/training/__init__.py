"""Training: losses, the module that is trained, its records, and what it sounds like."""
