"""What rails list by themselves as statement lines: their transactions, the simulated rail's log.

So that a day can be reconciled, and certified, where no file comes.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection

from kernel.principals import RAIL
from rails import service as rails
from rails.model import LogLine, RailAccount
from rails.model_kept import account_of as rail_account_of
from rails.simulated.rules import BECAME_AVAILABLE
from rails.statements.model import StatementLine
from reconciliation import service, store_orders
from reconciliation.commands import OpenAccount
from reconciliation.store_items import Place
from reconciliation.store_orders import Listed
from reconciliation.store_statements import Account, find_account

LOG_SOURCE: Final = "rail.log"
TRANSACTIONS_SOURCE: Final = "rail.transactions"
_LIMIT: Final = 2_000

_PLACES: Final[Mapping[RailAccount, str]] = MappingProxyType(
    {
        RailAccount.PROCESSOR_PENDING: "processor",
        RailAccount.PROCESSOR_AVAILABLE: "processor",
        RailAccount.PROCESSOR_RESERVED: "processor",
        RailAccount.CUSTODY_BANK: "custody_bank",
        RailAccount.PLATFORM_BANK: "platform_bank",
    }
)


def take_log(
    connection: Connection,
    lines: Iterable[LogLine],
    *,
    rail: str,
    at: datetime,
) -> int:
    """Take a rail's log in, known lines passed over; how many were new.

    Money that only becomes available stays with the processor and is no line. The whole log may
    be given again and again: what counts later has an earlier number.
    """
    by_place: dict[Place, list[StatementLine]] = defaultdict(list)
    for line in lines:
        if line.kind != BECAME_AVAILABLE:
            place = _PLACES[line.account]
            here = Place(place, rail if place == "processor" else "", line.currency)
            by_place[here].append(_of_log(line))
    return sum(
        service.take_lines(
            connection,
            _account(connection, here, rail, at),
            some,
            LOG_SOURCE,
            actor=RAIL,
            at=at,
        )
        for here, some in sorted(by_place.items(), key=lambda each: str(each[0]))
    )


def take_transactions(
    connection: Connection, rail: str, *, at: datetime, limit: int = _LIMIT
) -> int:
    """Take what a rail's statement has more than was taken before; how many lines were looked at.

    Call it until it gives 0.
    """
    cursor = f"{rail}/statement_lines"
    after = int(rails.find_position(connection, cursor) or 0)
    listed = store_orders.list_transactions(connection, rail, after=after, limit=limit)
    if not listed:
        return 0
    by_account: dict[tuple[str, str], list[Listed]] = defaultdict(list)
    for each in listed:
        by_account[rail_account_of(rail, account=each.account), each.currency].append(each)
    for (reference, currency), some in sorted(by_account.items()):
        account = service.account_of(connection, reference, currency, actor=RAIL, at=at)
        lines = [_of_transaction(each) for each in some]
        service.take_lines(connection, account, lines, TRANSACTIONS_SOURCE, actor=RAIL, at=at)
    rails.save_position(connection, rail=cursor, position=str(listed[-1].seen_no))
    return len(listed)


def _account(connection: Connection, here: Place, rail: str, at: datetime) -> Account:
    if here.place == "processor":
        return service.account_of(connection, rail, here.currency, actor=RAIL, at=at)
    reference = f"{rail}:{here.place}"
    found = find_account(connection, reference, here.currency)
    if found is None:
        service.open_accounts(
            connection,
            [
                OpenAccount(
                    actor=RAIL, reference=reference, currency=here.currency, place=here.place
                )
            ],
            at=at,
        )
        found = find_account(connection, reference, here.currency)
    assert found is not None
    return found


def _of_log(line: LogLine) -> StatementLine:
    on = line.effective_at.astimezone(UTC).date()
    ref = f"log:{line.line_no}"
    return StatementLine(
        amount_minor=line.amount_minor,
        currency=line.currency,
        booked_on=on,
        value_on=on,
        ref=ref,
        own_id=ref,
        end_to_end_id=line.operation_id.hex,
        kind=line.kind,
    )


def _of_transaction(each: Listed) -> StatementLine:
    return StatementLine(
        amount_minor=each.net_minor,
        currency=each.currency,
        booked_on=each.booked_on,
        value_on=each.value_on,
        ref=each.ref,
        own_id=each.ref,
        end_to_end_id=each.operation_id.hex if each.operation_id else "",
        other_refs=(each.source_ref,) if each.source_ref else (),
        kind=each.kind,
        fee_minor=each.fee_minor,
    )
