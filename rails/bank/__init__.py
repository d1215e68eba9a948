"""The bank as a rail: orders that go out in files, and whose end is heard from bank statements."""
