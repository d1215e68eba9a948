"""What may be asked of which rail: refused here, before anything is written."""

import re
from datetime import datetime, timedelta
from typing import Final

from escrow.model import Funding, Method
from escrow.refusals import BadText
from rails.capabilities import capabilities_of, check_amount
from rails.refusals import AmountNotPossible, CurrencyNotTaken

_RAIL_ACCOUNT: Final = re.compile(r"[a-z0-9][A-Za-z0-9_:.-]{0,63}", re.ASCII)


def check_rail_account(rail_account: str) -> None:
    """Refuse what is no name of an account at a rail, or of a rail that nobody knows."""
    if _RAIL_ACCOUNT.fullmatch(rail_account) is None:
        raise BadText(field="rail_account", longest=64)
    capabilities_of(rail_account)


def way_back(funding: Funding, amount_minor: int, at: datetime) -> Method:
    """How money of a payment goes back: as it came, or to the wallet where the rail cannot.

    A rail gives back for so many days after the payment (`refund_window_days`), and some give back
    the whole of a payment or nothing (`partial_refund`). What its amounts cannot say (a dinar of
    which the last digit is not 0) goes to the wallet as well, so that nothing waits for ever.

    Source: domain/rails.md section 3.
    """
    if funding.method is Method.WALLET or not funding.rail_account:
        return funding.method
    able = capabilities_of(funding.rail_account)
    is_in_time = at - funding.created_at <= timedelta(days=able.refund_window_days)
    is_whole = able.partial_refund or amount_minor == funding.captured_minor
    is_possible = _can_move(funding, amount_minor)
    return funding.method if is_in_time and is_whole and is_possible else Method.WALLET


def _can_move(funding: Funding, amount_minor: int) -> bool:
    try:
        check_amount(funding.rail_account, amount_minor, currency=funding.currency)
    except (AmountNotPossible, CurrencyNotTaken):
        return False
    return True
