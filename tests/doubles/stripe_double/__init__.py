"""A stateful double of Stripe: accounts, payments, payouts, disputes, and their money."""
