"""The ledger that everybody writes first: ORM objects, FOR UPDATE on both, insert, commit.

It locks in the order of ids, so that it does not deadlock; it keeps balances and lines, no
chain, no event, no proof.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from random import Random
from typing import Final

from sqlalchemy import BigInteger, ForeignKey, create_engine, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from loadtests.bench.ground import Ground
from loadtests.bench.measure import Meter, Sample
from loadtests.bench.workload import ACCOUNTS, Load

THREADS: Final = (1, 8)

_FEE_ACCOUNT: Final = ACCOUNTS + 1


class NaiveTable(DeclarativeBase):
    """The mapping of the naive ledger."""


class NaiveAccount(NaiveTable):
    """An account with its balance."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    balance_minor: Mapped[int] = mapped_column(BigInteger, default=0)


class NaiveTransfer(NaiveTable):
    """One business transaction."""

    __tablename__ = "transfer"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    created_at: Mapped[datetime]
    lines: Mapped[list["NaiveLine"]] = relationship()


class NaiveLine(NaiveTable):
    """One line of it."""

    __tablename__ = "line"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    transfer_id: Mapped[int] = mapped_column(ForeignKey("transfer.id"), index=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    amount_minor: Mapped[int] = mapped_column(BigInteger)


class NaiveLedger:
    """The naive ledger in a database of its own."""

    def __init__(self, ground: Ground) -> None:
        """Make its tables and accounts."""
        self._ground = ground
        self._name = f"{ground.database}_naive"
        ground.make_database(self._name)
        self._engine = create_engine(
            ground.server.url(self._name), pool_size=max(THREADS), max_overflow=0
        )
        NaiveTable.metadata.create_all(self._engine)
        with Session(self._engine) as session:
            session.execute(
                insert(NaiveAccount),
                [{"id": number, "balance_minor": 0} for number in range(1, _FEE_ACCOUNT + 1)],
            )
            session.commit()

    def close(self) -> None:
        """Leave the database and drop it."""
        self._engine.dispose()
        self._ground.drop_database(self._name)

    def run(self, load: Load, *, threads: int, seconds: float) -> Sample:
        """One stretch of transfers, one database transaction each."""
        meter = Meter(self._ground.backends(self._name))
        with meter.running(0), ThreadPoolExecutor(threads) as pool:
            until = time.perf_counter() + seconds
            counts = pool.map(lambda seed: self._until(until, load, Random(seed)), range(threads))
            meter.operations = sum(counts)
        return meter.sample()

    def _until(self, until: float, load: Load, random: Random) -> int:
        count = 0
        while count == 0 or time.perf_counter() < until:
            payer, payee = random.sample(range(1, ACCOUNTS + 1), 2)
            amount_minor = random.randint(100, 10_000)
            fee_minor = amount_minor // 10 if load is Load.HOT else 0
            moves = [(payer, -amount_minor), (payee, amount_minor - fee_minor)]
            if fee_minor:
                moves.append((_FEE_ACCOUNT, fee_minor))
            self._transfer(moves)
            count += 1
        return count

    def _transfer(self, moves: Sequence[tuple[int, int]]) -> None:
        with Session(self._engine) as session:
            ids = [account_id for account_id, _ in moves]
            locked = session.scalars(
                select(NaiveAccount)
                .where(NaiveAccount.id.in_(ids))
                .order_by(NaiveAccount.id)
                .with_for_update()
            )
            accounts = {account.id: account for account in locked}
            transfer = NaiveTransfer(created_at=datetime.now(UTC).replace(tzinfo=None))
            for account_id, amount_minor in moves:
                accounts[account_id].balance_minor += amount_minor
                transfer.lines.append(NaiveLine(account_id=account_id, amount_minor=amount_minor))
            session.add(transfer)
            session.commit()
