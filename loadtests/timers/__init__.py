"""A million clocks: how late they ring, how fast a backlog goes, and that none rings early."""
