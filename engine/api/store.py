"""SQL of the API's own questions: whose a subject is, in what currency, and pages of lists."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

_OF_CONTRACT: Final = "(contract.client_id = %(party_id)s OR contract.payee_id = %(party_id)s)"
_BY_PERIOD: Final = "(retainer_period JOIN contract ON contract.id = retainer_period.contract_id)"
_BY_SLOT: Final = "JOIN contract ON contract.id = slot.contract_id"

# What a subject is, with the contract that says whose it is.
_SUBJECTS: Final = MappingProxyType(
    {
        "contract": ("contract", "contract.id", "contract.currency"),
        "slot": (f"slot {_BY_SLOT}", "slot.id", "contract.currency"),
        "funding": (
            "funding JOIN contract ON contract.id = funding.contract_id",
            "funding.id",
            "contract.currency",
        ),
        "release": (
            "release JOIN contract ON contract.id = release.contract_id",
            "release.id",
            "contract.currency",
        ),
        "amendment": (
            "amendment JOIN contract ON contract.id = amendment.contract_id",
            "amendment.id",
            "contract.currency",
        ),
        "hourly_term": (
            "hourly_term JOIN contract ON contract.id = hourly_term.contract_id",
            "hourly_term.term_id",
            "contract.currency",
        ),
        "week": (
            "work_week JOIN contract ON contract.id = work_week.contract_id",
            "work_week.id",
            "contract.currency",
        ),
        "time_run": (
            "time_run JOIN contract ON contract.id = time_run.contract_id",
            "time_run.id",
            "contract.currency",
        ),
        "line_dispute": (
            "line_dispute JOIN contract ON contract.id = line_dispute.contract_id",
            "line_dispute.id",
            "contract.currency",
        ),
        "time_entry": (
            "time_entry JOIN contract ON contract.id = time_entry.contract_id",
            "time_entry.id",
            "contract.currency",
        ),
        "term": (
            "term JOIN contract ON contract.id = term.contract_id",
            "term.id",
            "contract.currency",
        ),
        "term_amendment": (
            "term_amendment JOIN contract ON contract.id = term_amendment.contract_id",
            "term_amendment.id",
            "contract.currency",
        ),
        "retainer": (
            "retainer JOIN contract ON contract.id = retainer.contract_id",
            "retainer.id",
            "contract.currency",
        ),
        "period": (_BY_PERIOD, "retainer_period.id", "contract.currency"),
        "drawdown": (
            f"drawdown JOIN {_BY_PERIOD} ON retainer_period.id = drawdown.period_id",
            "drawdown.id",
            "contract.currency",
        ),
        "dispute": (
            "dispute JOIN contract ON contract.id = dispute.contract_id",
            "dispute.id",
            "contract.currency",
        ),
        "chargeback": (
            "chargeback JOIN contract ON contract.id = chargeback.contract_id",
            "chargeback.id",
            "contract.currency",
        ),
        "refund": (
            f"refund JOIN slot ON slot.id = refund.slot_id {_BY_SLOT}",
            "refund.id",
            "contract.currency",
        ),
    }
)

_OWNED: Final = MappingProxyType(
    {
        "party": "SELECT EXISTS (SELECT FROM party WHERE id = %(id)s AND id = %(party_id)s)",
        "payout": """
            SELECT EXISTS (SELECT FROM payout WHERE id = %(id)s AND payee_id = %(party_id)s)
        """,
        "payment": """
            SELECT EXISTS (
                SELECT FROM funding f JOIN contract c ON c.id = f.contract_id
                WHERE f.id = %(id)s AND c.client_id = %(party_id)s
            ) OR EXISTS (
                SELECT FROM wallet_top_up WHERE id = %(id)s AND client_id = %(party_id)s
            )
        """,
        "reservation": """
            SELECT EXISTS (
                SELECT FROM reservation r JOIN account a ON a.id = r.account_id
                WHERE r.id = %(id)s AND a.subject = %(party_id)s::text
            )
        """,
        "claim": """
            SELECT EXISTS (SELECT FROM claim WHERE id = %(id)s AND payee_id = %(party_id)s)
        """,
        "subscription": """
            SELECT EXISTS (SELECT FROM subscription WHERE id = %(id)s AND party_id = %(party_id)s)
        """,
        "purchase": """
            SELECT EXISTS (SELECT FROM purchase WHERE id = %(id)s AND party_id = %(party_id)s)
        """,
        "method": """
            SELECT EXISTS (SELECT FROM payout_method WHERE id = %(id)s AND party_id = %(party_id)s)
        """,
    }
)

_LIST_CONTRACTS: Final = """
SELECT id FROM contract
WHERE (%(after)s::uuid IS NULL OR id > %(after)s)
    AND (%(sees_only)s::uuid IS NULL OR client_id = %(sees_only)s OR payee_id = %(sees_only)s)
    AND (%(party_id)s::uuid IS NULL OR client_id = %(party_id)s OR payee_id = %(party_id)s)
    AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY id
LIMIT %(limit)s
"""

_LIST_TERMS: Final = """
SELECT id, contract_id, kind, title, created_at FROM term WHERE contract_id = %(contract_id)s
ORDER BY created_at, id
"""

_FIND_TERM: Final = """
SELECT id, contract_id, kind, title, created_at FROM term WHERE id = %(id)s
"""

_LIST_OF_CONTRACT: Final = """
SELECT id FROM {table}
WHERE contract_id = %(contract_id)s AND (%(after)s::uuid IS NULL OR id > %(after)s)
ORDER BY id
LIMIT %(limit)s
"""

_LIST_SLOTS: Final = """
SELECT id FROM slot WHERE contract_id = %(contract_id)s AND seq > %(after)s
ORDER BY seq
LIMIT %(limit)s
"""

_LIST_REFUNDS: Final = """
SELECT refund.id FROM refund JOIN slot ON slot.id = refund.slot_id
WHERE slot.contract_id = %(contract_id)s AND (%(after)s::uuid IS NULL OR refund.id > %(after)s)
ORDER BY refund.id
LIMIT %(limit)s
"""

_LIST_SUBMISSIONS: Final = """
SELECT submission_no, message_ref, artefact_refs, submitted_at FROM submission
WHERE slot_id = %(slot_id)s
ORDER BY submission_no
"""

_LIST_PAYOUTS: Final = """
SELECT id FROM payout
WHERE (%(after)s::uuid IS NULL OR id > %(after)s)
    AND (%(payee_id)s::uuid IS NULL OR payee_id = %(payee_id)s)
    AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY id
LIMIT %(limit)s
"""

_LIST_CURRENCIES: Final = """
SELECT DISTINCT currency FROM account WHERE subject = %(party_id)s AND subject <> '' ORDER BY 1
"""

_READINESS: Final = """
SELECT extract(epoch FROM clock_now() - min(due_at))::bigint AS timer_late_s,
    (SELECT extract(epoch FROM clock_timestamp() - min(run_at))::bigint FROM job
        WHERE run_at <= clock_timestamp()) AS job_waits_s
FROM timer WHERE paused_remaining IS NULL
"""


_IS_TENANT: Final = "SELECT EXISTS (SELECT FROM holdfast.tenant WHERE name = %s)"


def is_seen(connection: Connection, kind: str, subject_id: UUID, *, party_id: UUID) -> bool:
    """Whether a subject is this party's: its own, or of a contract in which it is a side."""
    given = {"id": subject_id, "party_id": party_id}
    statement = _OWNED.get(kind)
    if statement is None:
        if kind not in _SUBJECTS:
            return False
        table, key, _ = _SUBJECTS[kind]
        statement = f"SELECT EXISTS (SELECT FROM {table} WHERE {key} = %(id)s AND {_OF_CONTRACT})"
    return bool(connection.exec_driver_sql(statement, given).scalar_one())


def find_currency(
    connection: Connection, kind: str, subject_id: UUID, *, sees_only: UUID | None
) -> str | None:
    """The currency of a deal; None where there is none, or none that this party may see."""
    table, key, currency = _SUBJECTS[kind]
    found: str | None = connection.exec_driver_sql(
        f"SELECT {currency} FROM {table} WHERE {key} = %(id)s"
        f" AND (%(party_id)s::uuid IS NULL OR {_OF_CONTRACT})",
        {"id": subject_id, "party_id": sees_only},
    ).scalar_one_or_none()
    return found


def list_contracts(
    connection: Connection,
    *,
    sees_only: UUID | None,
    party_id: UUID | None,
    state: str | None,
    after: UUID | None,
    limit: int,
) -> list[UUID]:
    """Ids of contracts, oldest first."""
    given = {
        "sees_only": sees_only,
        "party_id": party_id,
        "state": state,
        "after": after,
        "limit": limit,
    }
    return list(connection.exec_driver_sql(_LIST_CONTRACTS, given).scalars())


def list_of_contract(
    connection: Connection, table: str, contract_id: UUID, *, after: UUID | None, limit: int
) -> list[UUID]:
    """Ids of a contract's fundings, releases, amendments or refunds, oldest first."""
    assert table in {"funding", "release", "amendment", "refund"}
    statement = _LIST_REFUNDS if table == "refund" else _LIST_OF_CONTRACT.format(table=table)
    given = {"contract_id": contract_id, "after": after, "limit": limit}
    return list(connection.exec_driver_sql(statement, given).scalars())


def list_slots(connection: Connection, contract_id: UUID, *, after: int, limit: int) -> list[UUID]:
    """Ids of a contract's slots in the order in which they were agreed."""
    given = {"contract_id": contract_id, "after": after, "limit": limit}
    return list(connection.exec_driver_sql(_LIST_SLOTS, given).scalars())


def list_terms(connection: Connection, contract_id: UUID) -> Sequence[Any]:
    """The terms of a contract: id, contract_id, kind, title, created_at."""
    return connection.exec_driver_sql(_LIST_TERMS, {"contract_id": contract_id}).all()


def find_term(connection: Connection, term_id: UUID) -> Any | None:  # noqa: ANN401  a row
    """One term."""
    return connection.exec_driver_sql(_FIND_TERM, {"id": term_id}).one_or_none()


def list_submissions(connection: Connection, slot_id: UUID) -> Sequence[Any]:
    """What was shown for a slot: submission_no, message_ref, artefact_refs, submitted_at."""
    return connection.exec_driver_sql(_LIST_SUBMISSIONS, {"slot_id": slot_id}).all()


def list_payouts(
    connection: Connection,
    *,
    payee_id: UUID | None,
    state: str | None,
    after: UUID | None,
    limit: int,
) -> list[UUID]:
    """Ids of payouts, oldest first."""
    given = {"payee_id": payee_id, "state": state, "after": after, "limit": limit}
    return list(connection.exec_driver_sql(_LIST_PAYOUTS, given).scalars())


def readiness(connection: Connection) -> tuple[int | None, int | None]:
    """Seconds by which the oldest timer is overdue, and for which the oldest job waits."""
    row = connection.exec_driver_sql(_READINESS).one()
    return row.timer_late_s, row.job_waits_s


def list_currencies(connection: Connection, party_id: UUID) -> list[str]:
    """The currencies in which a party ever had an account."""
    given = {"party_id": str(party_id)}
    return list(connection.exec_driver_sql(_LIST_CURRENCIES, given).scalars())


def is_tenant(connection: Connection, name: str) -> bool:
    """Whether there is a tenant of this name; asked as the program itself, outside any tenant."""
    return bool(connection.exec_driver_sql(_IS_TENANT, (name,)).scalar_one())


def leave_tenant(connection: Connection) -> None:
    """Be the program's own login again, until the transaction enters a tenant anew."""
    connection.exec_driver_sql(
        "SELECT set_config('role', 'none', true), set_config('search_path', '', true)"
    )
