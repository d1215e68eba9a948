"""A small marketplace that uses the engine through its API alone."""
