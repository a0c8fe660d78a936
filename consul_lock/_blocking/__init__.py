"""The face for threads: the same files, names and words as in the other face."""
