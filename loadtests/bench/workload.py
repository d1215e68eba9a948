"""The work that all contestants do: one business transaction is one draft, one event.

*uniform*: two lines, two random accounts of 10,000. *hot*: three lines, the third always on the
one account that takes the fees. Accounts are client liabilities with bounds that are checked;
each is filled at the start, so that nothing is refused.
"""

from datetime import UTC, datetime
from enum import StrEnum
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
_OPENED_PER_BATCH: Final = 5_000
_FEE_SHARE: Final = 10

ACTOR: Final = Actor(UUID(int=0xBE), PrincipalKind.KEY)
WALLETS: Final = tuple(
    account("custody.wallet", CURRENCY, UUID(int=0xA000_0000 + number)) for number in range(ACCOUNTS)
)
FEES: Final = account("custody.earned_available", CURRENCY, UUID(int=0xFEE))
BANK: Final = account("custody.bank", CURRENCY)


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


def openings() -> list[list[Draft]]:
    """The drafts that fill every account at the start, in batches."""
    at = datetime.now(UTC)
    drafts = [_opening(key, at) for key in (*WALLETS, FEES)]
    return [
        drafts[start : start + _OPENED_PER_BATCH]
        for start in range(0, len(drafts), _OPENED_PER_BATCH)
    ]


def _opening(key: AccountKey, at: datetime) -> Draft:
    lines = (Line(BANK, _OPENING_MINOR), Line(key, -_OPENING_MINOR))
    return Draft(
        kind="bench.opened",
        subject=f"account:{key.subject}",
        actor=ACTOR,
        effective_at=at,
        entries=(Entry(Book.CUSTODY, CURRENCY, lines),),
    )


def post(engine: Engine, tenant: Tenant, drafts: list[Draft]) -> None:
    """Post one batch in a transaction of its own, as the program does; none may be refused."""
    with transaction(engine, tenant) as connection:
        answers = service.post(connection, drafts)
    refusals = [answer for answer in answers if isinstance(answer, Refusal)]
    assert not refusals, refusals[0]
