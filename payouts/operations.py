"""What rails are asked to do for a payout: one operation, or a chain over the payee's account.

The keys follow from the payout's id, so that each link is asked for once however often we try.
"""

from typing import Any, Final
from uuid import UUID, uuid5

from payouts.model import Payout
from rails.model import OperationKind, RailOperation

PAYOUTS: Final = "payouts.payout"
"""The name under which rails report payouts to `service.hear`."""

TRANSFERS: Final = "payouts.transfer"
"""The name under which rails report transfers to payees' accounts to `service_chain`."""


def transfer_id(payout_id: UUID) -> UUID:
    """The key of the transfer to the payee's account."""
    return uuid5(payout_id, "transfer")


def back_id(payout: Payout) -> UUID:
    """The key of the next try to call the money home."""
    suffix = f":{payout.back_tries}" if payout.back_tries else ""
    return uuid5(payout.id, f"transfer_back{suffix}")


def pay(payout: Payout, *, token: str) -> RailOperation:
    """Pay it to the method, from the account that it leaves from."""
    facts: dict[str, Any] = {}
    if payout.by_payees_account:
        facts["account"] = payout.paid_from
    if payout.is_instant:
        facts["speed"] = "instant"
    return RailOperation(
        id=payout.id,
        kind=OperationKind.PAYOUT,
        handler=PAYOUTS,
        subject=payout.subject,
        amount_minor=payout.net_minor,
        currency=payout.currency,
        method=token,
        facts=facts,
        rail=payout.rail,
    )


def transfer(payout: Payout) -> RailOperation:
    """Move its money from the platform's account at the rail to the payee's."""
    return RailOperation(
        id=transfer_id(payout.id),
        kind=OperationKind.TRANSFER,
        handler=TRANSFERS,
        subject=payout.subject,
        amount_minor=payout.net_minor,
        currency=payout.currency,
        method=payout.paid_from.partition(":")[2],
        facts={
            "source": payout.rail,
            "target": payout.paid_from,
            "rail_account": payout.paid_from,
        },
        rail=payout.rail,
    )


def call_home(payout: Payout, *, transfer_ref: str) -> RailOperation | None:
    """Move what is left of it from the payee's account back; None where nothing is left."""
    left_minor = payout.net_minor - payout.charge_minor
    if not left_minor:
        return None
    return RailOperation(
        id=back_id(payout),
        kind=OperationKind.TRANSFER_BACK,
        handler=TRANSFERS,
        subject=payout.subject,
        amount_minor=left_minor,
        currency=payout.currency,
        method=payout.paid_from.partition(":")[2],
        facts={
            "source": payout.paid_from,
            "target": payout.rail,
            "rail_account": payout.paid_from,
            "transfer": str(transfer_id(payout.id)),
            "transfer_ref": transfer_ref,
        },
        rail=payout.rail,
    )
