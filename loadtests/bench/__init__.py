"""The bench: ratios of our posting and releasing to the same work done by others."""
