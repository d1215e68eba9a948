"""Readers of what banks and processors say happened: camt, MT940, BAI2, Stripe's reports."""
