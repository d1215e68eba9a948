"""Contracts, their terms and slots: funding, work, release, refund and the clocks of a deal."""
