"""The columns of exchange, in the order that `commissions.store_fx` reads and writes them.

The migration `v0026_exchange` makes the tables.
"""

from typing import Final

QUOTE: Final = (
    *("id", "party_id", "sold", "bought", "source", "as_of", "mid", "rate", "margin_bps"),
    *("fixed", "sold_minor", "bought_minor", "margin_minor", "quoted_at", "expires_at"),
    *("state", "used_by", "contract_id"),
)

CONVERSION: Final = (
    *("id", "kind", "subject", "party_id", "sold", "sold_minor", "bought", "bought_minor"),
    *("source", "as_of", "mid", "rate", "margin_bps", "margin_minor", "quote_id"),
    *("rail_account", "converted_at", "state"),
)

FILL: Final = (
    *("filled_minor", "filled_at", "provider", "provider_ref", "gap_minor", "loss_minor"),
)
