"""The work that all contestants do: one business transaction is one draft, one event.

*uniform*: two lines, two random accounts of 10,000. *hot*: three lines, the third always on the
one account that takes the fees. Accounts are client liabilities with bounds that are checked;
each is filled at the start, so that nothing is refused.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from itertools import cycle
from random import Random
from typing import Final
from uuid import UUID

from sqlalchemy import Engine

from kernel.database import Tenant, transaction
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from ledger import service
from ledger.chart import account
from ledger.model import AccountKey, Book, Draft, Entry, Line

ACCOUNTS: Final = 10_000
CURRENCY: Final = "EUR"

_OPENING_MINOR: Final = 10**12
_FILLED_PER_BATCH: Final = 5_000
_FEE_SHARE: Final = 10

ACTOR: Final = Actor(UUID(int=0xBE), PrincipalKind.KEY)
WALLETS: Final = tuple(
    account("custody.wallet", CURRENCY, UUID(int=0xA000_0000 + number))
    for number in range(ACCOUNTS)
)
FEES: Final = account("custody.earned_available", CURRENCY, UUID(int=0xFEE))
BANK: Final = account("custody.bank", CURRENCY)


class BenchTrouble(Exception):  # noqa: N818  it says what happened
    """The bench could not do what it measures; its figures would mean nothing."""


class Load(StrEnum):
    """Which of the two kinds of work."""

    UNIFORM = "uniform"
    HOT = "hot"

    @property
    def lines(self) -> int:
        """Lines of one event."""
        return 2 if self is Load.UNIFORM else 3


def draw(load: Load, count: int, random: Random, *, at: datetime | None = None) -> list[Draft]:
    """So many drafts with random accounts and amounts, ready to be posted."""
    effective_at = at or datetime.now(UTC)
    return [_draft(load, random, effective_at) for _ in range(count)]


def _draft(load: Load, random: Random, effective_at: datetime) -> Draft:
    payer, payee = random.sample(WALLETS, 2)
    amount_minor = random.randint(100, 10_000)
    if load is Load.UNIFORM:
        lines: tuple[Line, ...] = (Line(payer, amount_minor), Line(payee, -amount_minor))
    else:
        fee_minor = amount_minor // _FEE_SHARE
        lines = (
            Line(payer, amount_minor),
            Line(payee, fee_minor - amount_minor),
            Line(FEES, -fee_minor),
        )
    return Draft(
        kind="bench.transferred",
        subject=f"transfer:{new_id()}",
        actor=ACTOR,
        effective_at=effective_at,
        entries=(Entry(Book.CUSTODY, CURRENCY, lines),),
    )


def post(engine: Engine, tenant: Tenant, drafts: Sequence[Draft]) -> None:
    """Post one batch in a transaction of its own, as the program does; none may be refused."""
    with transaction(engine, tenant) as connection:
        answers = service.post(connection, drafts)
    refusals = [answer for answer in answers if isinstance(answer, Refusal)]
    if refusals:
        raise BenchTrouble(f"a posting was refused: {refusals[0].code} {refusals[0].facts}")


def filling(warm_lines: int, random: Random) -> Iterator[list[Draft]]:
    """The batches that open and fill every account, and then warm the tables with a mixed load."""
    at = datetime.now(UTC)
    openings = [open_account(key, at) for key in (*WALLETS, FEES)]
    yield from _chunks(openings, _FILLED_PER_BATCH)
    lines = 0
    loads = cycle(Load)
    while lines < warm_lines:
        load = next(loads)
        count = min(_FILLED_PER_BATCH, -(-(warm_lines - lines) // load.lines))
        yield draw(load, count, random)
        lines += count * load.lines


def open_account(key: AccountKey, at: datetime) -> Draft:
    """Money comes in from the bank, so that the account never runs dry."""
    lines = (Line(BANK, _OPENING_MINOR), Line(key, -_OPENING_MINOR))
    return Draft(
        kind="bench.opened",
        subject=f"account:{key.subject}",
        actor=ACTOR,
        effective_at=at,
        entries=(Entry(Book.CUSTODY, CURRENCY, lines),),
    )


def _chunks(drafts: list[Draft], size: int) -> Iterator[list[Draft]]:
    for start in range(0, len(drafts), size):
        yield drafts[start : start + size]
