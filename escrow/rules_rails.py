"""What may be asked of which rail: refused here, before anything is written."""

import re
from typing import Final

from escrow.refusals import BadText
from rails.capabilities import capabilities_of

_RAIL_ACCOUNT: Final = re.compile(r"[a-z0-9][A-Za-z0-9_:.-]{0,63}", re.ASCII)


def check_rail_account(rail_account: str) -> None:
    """Refuse what is no name of an account at a rail, or of a rail that nobody knows."""
    if _RAIL_ACCOUNT.fullmatch(rail_account) is None:
        raise BadText(field="rail_account", longest=64)
    capabilities_of(rail_account)
