"""Money that leaves us, and the daily settlement between the books: payouts, returns, sweeps."""
