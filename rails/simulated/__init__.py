"""A rail that moves no real money: a processor and two banks with a durable log of their own."""
