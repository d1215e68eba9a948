"""A stateful double of Stripe: accounts, payments, transfers, payouts, disputes, and their money."""
