"""Sound as the rest of the package sees it: files, the STFT, resampling, overlap-add, pictures."""
