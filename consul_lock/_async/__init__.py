"""The face for asyncio: the same files, names and words as in the other face."""
