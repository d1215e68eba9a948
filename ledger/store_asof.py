"""SQL of the two axes: blocks by time, what accounts knew, and sums of lines as of any date."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

_SQL: Final = Path(__file__).parent / "sql" / "reports"

END_OF_TIME: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""No event counts at or after it (CHECK `event_effective_at_sane`)."""


class Block(NamedTuple):
    """The last `journal_no` of a block, and when it was sealed."""

    journal_no: int
    sealed_at: datetime


class KnownAccount(NamedTuple):
    """An account, and how many of its lines are known."""

    account_id: int
    code: str
    line_count: int


class Turnover(NamedTuple):
    """What lines add up to; both sums are positive."""

    line_count: int
    debit_minor: int
    credit_minor: int

    @property
    def balance_minor(self) -> int:
        """Signed like lines: debit positive."""
        return self.debit_minor - self.credit_minor


class KindTurnover(NamedTuple):
    """What the lines of one kind, currency and kind of event add up to."""

    kind: str
    currency: str
    event_kind: str
    line_count: int
    debit_minor: int
    credit_minor: int


_KIND_TOTALS: Final = (_SQL / "kind_totals.sql").read_text(encoding="utf-8")
_ACCOUNT_TOTALS: Final = (_SQL / "account_totals.sql").read_text(encoding="utf-8")

_BLOCK: Final = "SELECT last_journal_no, sealed_at FROM block"

KNOWN_LINES: Final = """
CASE WHEN %(provisional)s THEN a.line_count ELSE known_lines(a.id, %(journal_no)s) END
"""

_LIST_KNOWN: Final = f"""
SELECT a.id, a.code, {KNOWN_LINES} FROM account a WHERE a.code = ANY(%(codes)s::text[])
"""

_BALANCE_AFTER: Final = """
SELECT balance_after_minor FROM line WHERE account_id = %(account_id)s AND account_seq = %(seq)s
"""


def find_newest_block(connection: Connection) -> Block | None:
    """The newest block of the journal."""
    return _block(connection, f"{_BLOCK} ORDER BY no DESC LIMIT 1")


def find_first_block(connection: Connection) -> Block | None:
    """The first block of the journal."""
    return _block(connection, f"{_BLOCK} ORDER BY no LIMIT 1")


def find_block_at(connection: Connection, at: datetime) -> Block | None:
    """The last block sealed at or before a time."""
    newest = f"{_BLOCK} WHERE sealed_at <= %(at)s ORDER BY sealed_at DESC LIMIT 1"
    return _block(connection, newest, at=at)


def list_known(
    connection: Connection, codes: Sequence[str], *, journal_no: int, provisional: bool
) -> list[KnownAccount]:
    """The accounts with these codes that were ever opened, and how many lines are known of each."""
    given = {"codes": list(codes), "journal_no": journal_no, "provisional": provisional}
    return [KnownAccount(*row) for row in connection.exec_driver_sql(_LIST_KNOWN, given)]


def get_balance_after(connection: Connection, account_id: int, *, seq: int) -> int:
    """The balance behind a line."""
    given = {"account_id": account_id, "seq": seq}
    return int(connection.exec_driver_sql(_BALANCE_AFTER, given).scalar_one())


def sum_accounts(
    connection: Connection, wanted: Sequence[tuple[int, int, datetime]]
) -> list[Turnover]:
    """What the lines of accounts add up to: account, up to which line, counting before when."""
    given = {
        "accounts": [account_id for account_id, _, _ in wanted],
        "lines": [lines for _, lines, _ in wanted],
        "befores": [before for _, _, before in wanted],
    }
    rows = connection.exec_driver_sql(_ACCOUNT_TOTALS, given)
    return [_turnover(*row[1:]) for row in rows]


def sum_kinds(
    connection: Connection, *, journal_no: int, provisional: bool, before: datetime
) -> list[KindTurnover]:
    """What all lines add up to, per kind, currency and kind of event, in that order."""
    given = {"journal_no": journal_no, "provisional": provisional, "before": before}
    rows = connection.exec_driver_sql(_KIND_TOTALS, given)
    return [
        KindTurnover(kind, currency, event_kind, *_turnover(count, debit, credit))
        for kind, currency, event_kind, count, debit, credit in rows
    ]


def _turnover(line_count: int, debit: Decimal, credit: Decimal) -> Turnover:
    return Turnover(line_count, int(debit), int(credit))


def _block(connection: Connection, statement: str, **given: Any) -> Block | None:  # noqa: ANN401
    row = connection.exec_driver_sql(statement, given).one_or_none()
    return None if row is None else Block(*row)
