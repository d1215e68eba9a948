"""Money leaving us: payouts, settlement between the books, returns."""
