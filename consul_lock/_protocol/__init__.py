"""The algorithms, pure: see `consul_lock._protocol.flow` for the one idea and its two laws."""
