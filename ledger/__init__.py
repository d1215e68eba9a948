"""The books: accounts, journal entries, the event log, periods and proofs."""
