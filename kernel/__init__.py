"""What everyone shares: money, clock, ids, settings, database, errors, keys, timers, jobs."""
