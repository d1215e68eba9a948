"""The daily settlement between the books and between the places where money lies (P02 to P04).

What needs no money is booked at once. Real money is asked of the rail and booked when the rail
has moved it, so that the books never show cash that is not there. Each of the platform's accounts
at processors is looked at by itself; payees' accounts are never settled (decision 0013).
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from kernel.commands import Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.money import MAX_MINOR, NotPositive, TooLarge, exponent, to_json
from kernel.principals import RAIL, SYSTEM, PrincipalKind
from ledger.model import Draft
from ledger.service import kind_balances
from payouts import movements, store, store_dormant, treasury
from payouts.commands import OpenCapital
from payouts.desk import post_facts
from payouts.model_settlement import Position, Settlement, Transfer, Way
from payouts.refusals import OperatorOnly
from payouts.rules_settlement import settle_currency
from rails import service as rails
from rails.capabilities import rail_of
from rails.model import (
    OWNER,
    Notice,
    OperationKind,
    RailAccount,
    RailOperation,
    RailOutcome,
    RailResult,
)

HANDLER: Final = "payouts.settlement"
"""The name under which rails report transfers to `hear_transfers`."""

RAIL_ACCOUNT: Final = treasury.RAIL_ACCOUNT
"""Subject of `custody.processor_*` where nothing else is configured."""

BANK_RAIL: Final = "simulated"
"""Moves money between banks where no bank rail is set up."""

_METHOD: Final = "transfer"
_PROCESSOR: Final = RailAccount.PROCESSOR_AVAILABLE.value


def settle(
    connection: Connection, *, at: datetime, rail_account: str = "", bank_rail: str = BANK_RAIL
) -> list[Settlement]:
    """Settle every currency: set off, and ask the rails for the transfers that are needed.

    One at a time per tenant; run again before the rails have answered it moves nothing twice. When
    they have moved everything, nothing is due from the platform in any currency, unless its
    own bank was short (`shortfall_minor`). Money at `rail_account` must land now, whatever its
    row says: the time for which it may be kept there is over. `bank_rail` moves between banks.
    """
    store.lock_settlement(connection)
    must_land = frozenset({rail_account} - {""})
    found = [
        (position, settle_currency(position, must_land=must_land))
        for position in look(connection, at=at)
    ]
    settlements = [settlement for _, settlement in found if not settlement.is_empty]
    drafts: list[Draft] = []
    operations: list[RailOperation] = []
    for settlement in settlements:
        subject = f"settlement:{new_id()}"
        drafts.append(_draft(settlement, subject, at))
        operations += [
            _operation(transfer, settlement.currency, subject, bank_rail)
            for transfer in settlement.transfers
        ]
    drafts += treasury.watch(connection, [each for _, each in found], at)
    post_facts(connection, drafts)
    rails.intend(connection, operations, at=at)
    return settlements


def settle_short(
    connection: Connection, *, at: datetime, bank_rail: str = BANK_RAIL, pays_up: bool
) -> bool:
    """Settle again on the same day where something is short, or no longer is; whether it was so.

    Looked at often, it settles when an account of ours falls below zero or is covered, when the
    platform's own bank cannot pay what it owes any more or can again. With `pays_up` also where the
    platform owes client money what it has and no transfer brings yet.

    Source: domain/escrow.md 3 (shortfall funded same day), edge case 45.
    """
    if not (treasury.stops_differ(connection) or (pays_up and _can_pay_up(connection, at))):
        return False
    settle(connection, at=at, bank_rail=bank_rail)
    return True


def _can_pay_up(connection: Connection, at: datetime) -> bool:
    owed = kind_balances(connection, "custody.due_from_platform")
    return any(minor > 0 for minor in owed.values()) and any(
        transfer.source == RailAccount.PLATFORM_BANK.value
        for position in look(connection, at=at)
        for transfer in settle_currency(position).transfers
    )


def under_way(connection: Connection) -> dict[str, dict[Way, int]]:
    """What settlements asked of rails and have no answer for: currency, way."""
    open_minor: dict[str, dict[Way, int]] = defaultdict(lambda: defaultdict(int))
    for operation in rails.list_open(connection, HANDLER):
        open_minor[operation.currency][_way(operation)] += operation.amount_minor
    return open_minor


def free_in_bank(connection: Connection) -> dict[str, int]:
    """What may still leave the custody bank by currency: booked, less what is on its way out.

    Nothing, where an account of ours at a rail is below zero in the currency: what is paid out
    meanwhile would be other clients' money. Until the end of the transaction nobody else promises
    anything away. What leaves meanwhile is read before the balance, so that it is counted twice
    rather than not at all.

    Source: domain/escrow.md 2.11, edge case 45.
    """
    store.lock_settlement(connection)
    submitted = store.sum_submitted(connection)
    remitted = store_dormant.sum_leaving(connection)
    moving = under_way(connection)
    purse: dict[str, int] = defaultdict(int, kind_balances(connection, "custody.bank"))
    for currency, net_minor in (*submitted.items(), *remitted.items()):
        purse[currency] -= net_minor
    for currency, ways in moving.items():
        for (source, _, _), amount_minor in ways.items():
            if source == RailAccount.CUSTODY_BANK.value:
                purse[currency] -= amount_minor
    for _, currency in treasury.below_zero(connection):
        purse[currency] = min(0, purse[currency])
    return purse


def hear_transfers(connection: Connection, results: Sequence[RailResult], at: datetime) -> None:
    """Book transfers that the rail has made; a refused one leaves an event and no entries."""
    outcomes = {result.operation_id: result for result in results if _is_answer(result.outcome)}
    drafts = [
        _transfer_draft(operation, outcomes[operation.id], at)
        for operation in rails.list_operations(connection, list(outcomes))
    ]
    post_facts(connection, drafts)


def hear_available(connection: Connection, notices: Sequence[Notice], at: datetime) -> None:
    """Book what the processor says has become available (P02, first half)."""
    drafts = [
        Draft(
            kind="settlement.available",
            subject=f"rail_account:{notice.rail}",
            actor=RAIL,
            effective_at=at,
            entries=movements.p02_become_available(
                rail_account=notice.rail,
                currency=notice.currency,
                amount_minor=notice.amount_minor,
            ),
            detail={
                "notice_id": notice.notice_id,
                "occurred_at": notice.occurred_at.isoformat(),
            },
        )
        for notice in notices
    ]
    post_facts(connection, drafts)


def open_capital(
    connection: Connection, commands: Sequence[OpenCapital], *, at: datetime
) -> list[Outcome]:
    """Ask the rail to bring the owner's capital into the platform's bank; booked when it is there.

    Refuses with `payouts.operator_only`, `money.unknown_currency`, `money.not_positive`,
    `money.too_large`.
    """
    outcomes: list[Outcome] = []
    drafts: list[Draft] = []
    operations: list[RailOperation] = []
    for command in commands:
        try:
            _check_capital(command)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        subject = f"settlement:{new_id()}"
        way = Transfer(OWNER, RailAccount.PLATFORM_BANK.value, command.amount_minor)
        operations.append(_operation(way, command.currency, subject, BANK_RAIL))
        amount = to_json(command.amount_minor, command.currency)
        drafts.append(
            Draft("capital.promised", subject, command.actor, at, detail={"amount": amount})
        )
        outcomes.append(done(subject=subject, amount=amount))
    post_facts(connection, drafts)
    rails.intend(connection, operations, at=at)
    return outcomes


def look(connection: Connection, *, at: datetime) -> list[Position]:
    """Where every currency stands, with transfers either under way or booked, and never neither.

    Each read sees what was committed by then. Under the settlement's lock transfers only end, so
    that the reads are taken again until none has ended between the first and the last.
    """
    moving = under_way(connection)
    while True:
        read = treasury.read(connection, at)
        still_moving = under_way(connection)
        if still_moving == moving:
            return treasury.positions(read, moving)
        moving = still_moving


def _way(operation: RailOperation) -> Way:
    source, target = operation.facts["source"], operation.facts["target"]
    is_processors = _PROCESSOR in {source, target}
    return source, target, operation.facts["rail_account"] if is_processors else ""


def _draft(settlement: Settlement, subject: str, at: datetime) -> Draft:
    currency = settlement.currency
    return Draft(
        kind="settlement.decided",
        subject=subject,
        actor=SYSTEM,
        effective_at=at,
        entries=movements.p03_set_off(currency=currency, amount_minor=settlement.set_off_minor),
        detail={
            "set_off": to_json(settlement.set_off_minor, currency),
            "shortfall": to_json(settlement.shortfall_minor, currency),
            "postponed": to_json(settlement.postponed_minor, currency),
            "transfers": [
                {
                    "source": transfer.source,
                    "target": transfer.target,
                    **({"rail_account": transfer.rail_account} if transfer.rail_account else {}),
                    **to_json(transfer.amount_minor, currency),
                }
                for transfer in settlement.transfers
            ],
        },
    )


def _operation(transfer: Transfer, currency: str, subject: str, bank_rail: str) -> RailOperation:
    from_our_own = transfer.source in {OWNER, RailAccount.PLATFORM_BANK.value}
    return RailOperation(
        id=new_id(),
        kind=OperationKind.TOP_UP if from_our_own else OperationKind.BANK_TRANSFER,
        handler=HANDLER,
        subject=subject,
        amount_minor=transfer.amount_minor,
        currency=currency,
        method=_METHOD,
        facts={
            "source": transfer.source,
            "target": transfer.target,
            "rail_account": transfer.rail_account,
        },
        rail=rail_of(transfer.rail_account) if transfer.rail_account else bank_rail,
    )


def _transfer_draft(operation: RailOperation, result: RailResult, at: datetime) -> Draft:
    facts = operation.facts
    is_done = result.outcome is RailOutcome.DONE
    transfer = Transfer(facts["source"], facts["target"], operation.amount_minor)
    detail: dict[str, Any] = {
        "operation_id": str(operation.id),
        "source": transfer.source,
        "target": transfer.target,
        **to_json(operation.amount_minor, operation.currency),
        "rail_ref": result.rail_ref,
        "code": result.code,
        "occurred_at": result.occurred_at.isoformat(),
    }
    entries = movements.book_transfer(
        transfer, rail_account=facts["rail_account"], currency=operation.currency
    )
    return Draft(
        kind="settlement.moved" if is_done else "settlement.refused",
        subject=operation.subject,
        actor=RAIL,
        effective_at=at,
        entries=entries if is_done else (),
        detail=detail,
    )


def _check_capital(command: OpenCapital) -> None:
    if not (command.actor.is_operator or command.actor.kind is PrincipalKind.SYSTEM):
        raise OperatorOnly(currency=command.currency)
    exponent(command.currency)
    if command.amount_minor <= 0:
        raise NotPositive(amount_minor=command.amount_minor)
    if command.amount_minor > MAX_MINOR:
        raise TooLarge(amount_minor=command.amount_minor)


def _is_answer(outcome: RailOutcome) -> bool:
    return outcome in (RailOutcome.DONE, RailOutcome.REFUSED)
