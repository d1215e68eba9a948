"""Fee schedules and the maths of fees."""
