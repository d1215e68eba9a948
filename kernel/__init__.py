"""What everyone shares: money, clock, ids, settings, database, errors, idempotency, timers, jobs."""
