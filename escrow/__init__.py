"""The deals: contracts, terms, slots, funding, release and refund."""
