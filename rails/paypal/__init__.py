"""PayPal as a rail: Orders v2, Payments v2 and Payouts v1, without a library of theirs."""
