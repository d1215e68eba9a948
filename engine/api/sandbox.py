"""What a sandbox may ask of the simulated rail: to play the client's bank."""

from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import Field
from sqlalchemy import Engine

from engine.api.models import Amount, Id, Reference, Request
from kernel import clock
from kernel.database import Tenant, transaction
from rails.port import Rail
from rails.simulated.chargebacks import Act, Direction, act, take_back
from rails.simulated.service import SimulatedRail

MOST_DAYS: Final = 365
RETURNED: Final = "returned"


class BankBody(Request):
    """One act of the client's bank about a payment.

    `status` is its word on the chargeback (`returned`: it took a debit back, there is no case);
    `direction` moves `amount`, as the balance transaction `movement`, which stands for `disputed`.
    The notice comes after `delay_days`, `twice` if that is said.
    """

    funding_id: Id
    chargeback: Reference = "dp_1"
    amount: Amount
    status: Annotated[str, Field(max_length=40)] | None = None
    reason: Reference = "fraudulent"
    due_days: Annotated[int, Field(ge=1, le=MOST_DAYS)] = 14
    direction: Literal["withdrawn", "reinstated"] | None = None
    movement: Reference | None = None
    disputed: Amount | None = None
    network_fee: Amount | None = None
    delay_days: Annotated[int, Field(ge=0, le=MOST_DAYS)] = 0
    twice: bool = False


def play_bank(engine: Engine, tenant: Tenant, rail: Rail | None, body: BankBody) -> dict[str, Any]:
    """Let the bank of the sandbox act; gives the id of the notice that will tell of it.

    Refuses: `clock.not_sandbox` for a live tenant or another rail, `rail.unknown_payment`,
    `rail.unknown_chargeback`, `rail.bad_act`.
    """
    with transaction(engine, tenant) as connection:
        at = clock.now(connection)
        mode = clock.get_mode(connection)
    if mode is not clock.Mode.SANDBOX or not isinstance(rail, SimulatedRail):
        raise clock.NotSandbox
    fee = body.network_fee.minor() if body.network_fee else 0
    if body.status == RETURNED:
        return {"notice_id": take_back(rail, body.funding_id, at=at, fee_minor=fee)}
    deed = Act(
        ref=body.chargeback,
        operation_id=body.funding_id,
        amount_minor=body.amount.minor(),
        currency=body.amount.currency,
        status=body.status or "",
        reason=body.reason,
        due_days=body.due_days,
        direction=Direction(body.direction) if body.direction else None,
        movement=body.movement or "",
        disputed_minor=body.disputed.minor() if body.disputed else None,
        fee_minor=fee,
        after=timedelta(days=body.delay_days),
        twice=body.twice,
    )
    return {"notice_id": act(rail, deed, at=at)}
