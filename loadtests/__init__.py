"""Load tests: what the engine does per second, and that the books are whole afterwards."""
