"""Stripe Connect as a rail: separate charges and transfers, payouts from payees' own accounts."""
