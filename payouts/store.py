"""All SQL of payouts: locks in id order, rows in and out as arrays."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from kernel.errors import Broken
from payouts.model import MethodState, Payout, PayoutMethod, PayoutState

_COLUMNS: Final = """id, payee_id, method_id, amount_minor, fee_minor, currency, state, version,
    rail_ref, code, charge_minor, requested_at, submitted_at, paid_at, ended_at, rail, paid_from,
    is_instant, requested_by, screened_at, approved_by, transferred_at, left_at, back_at,
    back_tries"""

_FIND_PAYOUTS: Final = f"SELECT {_COLUMNS} FROM payout WHERE id = ANY (%(ids)s::uuid[])"

_LOCK_PAYOUTS: Final = f"{_FIND_PAYOUTS} ORDER BY id FOR NO KEY UPDATE"

_LIST_OF_PAYEE: Final = f"""
SELECT {_COLUMNS} FROM payout WHERE payee_id = %(payee_id)s
ORDER BY requested_at DESC, id DESC LIMIT %(limit)s
"""

_LIST_REQUESTED: Final = """
SELECT id FROM payout WHERE state IN ('requested', 'approved')
ORDER BY requested_at, id LIMIT %(limit)s
"""

_LIST_OF_SANCTIONED: Final = """
SELECT p.id FROM payout p JOIN party ON party.id = p.payee_id AND party.sanction_state <> 'clear'
WHERE p.state IN ('requested', 'screening', 'approved')
ORDER BY p.requested_at, p.id LIMIT %(limit)s
"""

_LIST_REQUESTED_OVER: Final = """
SELECT p.id FROM payout p
JOIN unnest(%(currencies)s::text[], %(limits)s::bigint[]) AS rule (currency, above_minor)
    ON rule.currency = p.currency AND p.amount_minor > rule.above_minor
WHERE p.state = 'requested' ORDER BY p.requested_at, p.id LIMIT %(limit)s
"""

_LIST_TO_CALL_HOME: Final = """
SELECT p.id FROM payout p
WHERE p.transferred_at IS NOT NULL AND p.back_at IS NULL AND p.state IN ('failed', 'returned')
  AND p.amount_minor - p.fee_minor > p.charge_minor
ORDER BY p.id LIMIT %(limit)s
"""

_SUM_SUBMITTED: Final = """
SELECT currency, sum(amount_minor - fee_minor)::bigint AS net_minor
FROM payout WHERE state = 'submitted' AND paid_from = '' GROUP BY currency
"""

_SUM_PROMISED: Final = """
SELECT rail, currency, sum(amount_minor - fee_minor)::bigint AS net_minor
FROM payout
WHERE state IN ('requested', 'screening', 'approved', 'submitted') AND transferred_at IS NULL
  AND (NOT %(only_submitted)s OR (state = 'submitted' AND paid_from <> ''))
GROUP BY rail, currency
"""

_ADD_PAYOUTS: Final = """
INSERT INTO payout (id, payee_id, method_id, amount_minor, fee_minor, currency, rail, requested_by,
    state, is_instant, version, rail_ref, code, charge_minor, requested_at)
SELECT asked.*, 1, '', '', 0, %(at)s
FROM unnest(%(ids)s::uuid[], %(payees)s::uuid[], %(methods)s::uuid[], %(amounts)s::bigint[],
            %(fees)s::bigint[], %(currencies)s::text[], %(rails)s::text[], %(askers)s::uuid[],
            %(states)s::text[], %(instant)s::boolean[]) AS asked
"""

_SAVE_PAYOUTS: Final = """
UPDATE payout AS stored
SET state = moved.state, version = moved.version, rail_ref = moved.rail_ref, code = moved.code,
    charge_minor = moved.charge_minor, submitted_at = moved.submitted_at,
    paid_at = moved.paid_at, ended_at = moved.ended_at, paid_from = moved.paid_from,
    screened_at = moved.screened_at, approved_by = moved.approved_by,
    transferred_at = moved.transferred_at, left_at = moved.left_at, back_at = moved.back_at,
    back_tries = moved.back_tries
FROM unnest(%(ids)s::uuid[], %(states)s::text[], %(versions)s::integer[], %(refs)s::text[],
            %(codes)s::text[], %(charges)s::bigint[], %(submitted)s::timestamptz[],
            %(paid)s::timestamptz[], %(ended)s::timestamptz[], %(sources)s::text[],
            %(screened)s::timestamptz[], %(approvers)s::uuid[], %(transferred)s::timestamptz[],
            %(left)s::timestamptz[], %(back)s::timestamptz[], %(tries)s::integer[],
            %(old_states)s::text[])
    AS moved (id, state, version, rail_ref, code, charge_minor, submitted_at, paid_at, ended_at,
              paid_from, screened_at, approved_by, transferred_at, left_at, back_at, back_tries,
              old_state)
WHERE stored.id = moved.id AND stored.state = moved.old_state
  AND stored.version = moved.version - 1
"""

_METHOD: Final = "id, party_id, token, state, rail, verified_at, usable_from"

_FIND_METHODS: Final = f"""
SELECT {_METHOD} FROM payout_method WHERE id = ANY (%(ids)s::uuid[])
"""

_LOCK_METHODS: Final = f"{_FIND_METHODS} ORDER BY id FOR NO KEY UPDATE"

_LIST_METHODS: Final = f"""
SELECT {_METHOD} FROM payout_method
WHERE party_id = ANY (%(party_ids)s::uuid[]) ORDER BY added_at, id
"""

_ADD_METHODS: Final = """
INSERT INTO payout_method (id, party_id, token, rail, state, usable_from, added_at)
SELECT added.*, %(at)s
FROM unnest(%(ids)s::uuid[], %(parties)s::uuid[], %(tokens)s::text[], %(rails)s::text[],
            %(states)s::text[], %(usable)s::timestamptz[]) AS added
"""

_SAVE_VERIFIED: Final = """
UPDATE payout_method SET state = 'active', verified_at = %(at)s
WHERE id = ANY (%(ids)s::uuid[]) AND state = 'unverified'
"""

_DISABLE_METHODS: Final = """
UPDATE payout_method AS stored SET state = 'disabled', reason = bad.reason, disabled_at = %(at)s
FROM unnest(%(ids)s::uuid[], %(reasons)s::text[]) AS bad (id, reason)
WHERE stored.id = bad.id AND stored.state <> 'disabled'
"""

_LIST_PAUSES: Final = """
SELECT party_id, reason FROM payout_pause WHERE party_id = ANY (%(ids)s::uuid[])
"""

_ADD_PAUSES: Final = """
INSERT INTO payout_pause (party_id, reason, paused_at)
SELECT DISTINCT ON (party_id) party_id, reason, %(at)s
FROM unnest(%(ids)s::uuid[], %(reasons)s::text[]) AS bad (party_id, reason) ORDER BY party_id
ON CONFLICT ON CONSTRAINT payout_pause_once DO NOTHING
"""

_REMOVE_PAUSES: Final = "DELETE FROM payout_pause WHERE party_id = ANY (%(ids)s::uuid[])"

_LIST_FEES: Final = """
SELECT DISTINCT ON (currency) currency, fee_minor FROM payout_fee
WHERE currency = ANY (%(currencies)s::text[]) AND valid_from <= %(at)s
ORDER BY currency, valid_from DESC
"""

_ADD_FEES: Final = """
INSERT INTO payout_fee (currency, valid_from, fee_minor)
SELECT * FROM unnest(%(currencies)s::text[], %(times)s::timestamptz[], %(fees)s::bigint[])
ON CONFLICT ON CONSTRAINT payout_fee_is_dated DO NOTHING RETURNING currency, valid_from
"""

_LOCK_SETTLEMENT: Final = """
SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.settlement', 0))
"""


def find_payouts(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Payout]:
    """Payouts by id as they are, unlocked; an unknown id is missing."""
    rows = connection.exec_driver_sql(_FIND_PAYOUTS, {"ids": list(ids)}).mappings()
    return {row["id"]: _payout(row) for row in rows}


def lock_payouts(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Payout]:
    """Payouts by id, locked in the order of their ids."""
    rows = connection.exec_driver_sql(_LOCK_PAYOUTS, {"ids": sorted(set(ids))}).mappings()
    return {row["id"]: _payout(row) for row in rows}


def list_of_payee(connection: Connection, payee_id: UUID, *, limit: int) -> list[Payout]:
    """A payee's payouts, newest first."""
    rows = connection.exec_driver_sql(
        _LIST_OF_PAYEE, {"payee_id": payee_id, "limit": limit}
    ).mappings()
    return [_payout(row) for row in rows]


def list_requested(connection: Connection, *, limit: int) -> list[UUID]:
    """Ids of payouts that wait to be submitted, oldest first."""
    return list(connection.exec_driver_sql(_LIST_REQUESTED, {"limit": limit}).scalars())


def sum_submitted(connection: Connection) -> dict[str, int]:
    """What is on its way to payees and has not left the bank, by currency."""
    return {row.currency: row.net_minor for row in connection.exec_driver_sql(_SUM_SUBMITTED)}


def sum_promised(
    connection: Connection, *, only_submitted: bool = False
) -> dict[tuple[str, str], int]:
    """What payouts need from where their rail pays from, and has not gone yet: (rail, currency).

    With `only_submitted`: what was asked of the rails' own accounts, the banks' aside.
    """
    rows = connection.exec_driver_sql(_SUM_PROMISED, {"only_submitted": only_submitted})
    return {(row.rail, row.currency): row.net_minor for row in rows}


def list_of_sanctioned(connection: Connection, *, limit: int) -> list[UUID]:
    """Payouts not sent yet whose payees are on a sanctions list, oldest first."""
    return list(connection.exec_driver_sql(_LIST_OF_SANCTIONED, {"limit": limit}).scalars())


def list_requested_over(
    connection: Connection, limits: Mapping[str, int], *, limit: int
) -> list[UUID]:
    """Payouts that nobody has looked at and that are above their currency's limit, oldest first."""
    arguments = {"currencies": list(limits), "limits": list(limits.values()), "limit": limit}
    return list(connection.exec_driver_sql(_LIST_REQUESTED_OVER, arguments).scalars())


def list_to_call_home(connection: Connection, *, limit: int) -> list[UUID]:
    """Payouts that failed or came back, with money still at the payee's account."""
    return list(connection.exec_driver_sql(_LIST_TO_CALL_HOME, {"limit": limit}).scalars())


def add_payouts(connection: Connection, payouts: Sequence[Payout], at: datetime) -> None:
    """Write requested payouts."""
    connection.exec_driver_sql(
        _ADD_PAYOUTS,
        {
            "ids": [payout.id for payout in payouts],
            "payees": [payout.payee_id for payout in payouts],
            "methods": [payout.method_id for payout in payouts],
            "amounts": [payout.amount_minor for payout in payouts],
            "fees": [payout.fee_minor for payout in payouts],
            "currencies": [payout.currency for payout in payouts],
            "rails": [payout.rail for payout in payouts],
            "askers": [payout.requested_by for payout in payouts],
            "states": [payout.state.value for payout in payouts],
            "instant": [payout.is_instant for payout in payouts],
            "at": at,
        },
    )


def save_payouts(connection: Connection, moved: Sequence[tuple[Payout, PayoutState]]) -> None:
    """Move payouts on, each from the state its lock showed; Broken if one was not in it."""
    payouts = [payout for payout, _ in moved]
    saved = connection.exec_driver_sql(
        _SAVE_PAYOUTS,
        {
            "ids": [payout.id for payout in payouts],
            "states": [payout.state.value for payout in payouts],
            "versions": [payout.version for payout in payouts],
            "refs": [payout.rail_ref for payout in payouts],
            "codes": [payout.code for payout in payouts],
            "charges": [payout.charge_minor for payout in payouts],
            "submitted": [payout.submitted_at for payout in payouts],
            "paid": [payout.paid_at for payout in payouts],
            "ended": [payout.ended_at for payout in payouts],
            "sources": [payout.paid_from for payout in payouts],
            "screened": [payout.screened_at for payout in payouts],
            "approvers": [payout.approved_by for payout in payouts],
            "transferred": [payout.transferred_at for payout in payouts],
            "left": [payout.left_at for payout in payouts],
            "back": [payout.back_at for payout in payouts],
            "tries": [payout.back_tries for payout in payouts],
            "old_states": [before.value for _, before in moved],
        },
    )
    if saved.rowcount != len(payouts):
        raise Broken("a payout moved under its lock", payouts=[str(p.id) for p in payouts])


def find_methods(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, PayoutMethod]:
    """Methods by id; an unknown id is missing."""
    rows = connection.exec_driver_sql(_FIND_METHODS, {"ids": list(ids)}).mappings()
    return {row["id"]: _method(row) for row in rows}


def lock_methods(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, PayoutMethod]:
    """The same, locked in the order of their ids."""
    rows = connection.exec_driver_sql(_LOCK_METHODS, {"ids": sorted(set(ids))}).mappings()
    return {row["id"]: _method(row) for row in rows}


def save_verified(connection: Connection, ids: Sequence[UUID], at: datetime) -> None:
    """Methods that waited for it are verified from now on."""
    connection.exec_driver_sql(_SAVE_VERIFIED, {"ids": list(ids), "at": at})


def list_methods(connection: Connection, party_ids: Iterable[UUID]) -> list[PayoutMethod]:
    """All methods of parties, oldest first, the disabled ones too."""
    rows = connection.exec_driver_sql(_LIST_METHODS, {"party_ids": list(party_ids)}).mappings()
    return [_method(row) for row in rows]


def add_methods(connection: Connection, methods: Sequence[PayoutMethod], at: datetime) -> None:
    """Write new methods."""
    connection.exec_driver_sql(
        _ADD_METHODS,
        {
            "ids": [method.id for method in methods],
            "parties": [method.party_id for method in methods],
            "tokens": [method.token for method in methods],
            "rails": [method.rail for method in methods],
            "states": [method.state.value for method in methods],
            "usable": [method.usable_from for method in methods],
            "at": at,
        },
    )


def disable_methods(connection: Connection, reasons: Mapping[UUID, str], at: datetime) -> None:
    """Disable methods, each with its reason; one that is disabled keeps its first reason."""
    connection.exec_driver_sql(
        _DISABLE_METHODS, {"ids": list(reasons), "reasons": list(reasons.values()), "at": at}
    )


def list_pauses(connection: Connection, party_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Why parties' payouts are paused; one that is not paused is missing."""
    rows = connection.exec_driver_sql(_LIST_PAUSES, {"ids": list(party_ids)})
    return {row.party_id: row.reason for row in rows}


def add_pauses(connection: Connection, reasons: Mapping[UUID, str], at: datetime) -> None:
    """Pause parties' payouts; one that is paused keeps its first reason."""
    connection.exec_driver_sql(
        _ADD_PAUSES, {"ids": list(reasons), "reasons": list(reasons.values()), "at": at}
    )


def remove_pauses(connection: Connection, party_ids: Iterable[UUID]) -> None:
    """Let parties' payouts go on; the log of events keeps what was."""
    connection.exec_driver_sql(_REMOVE_PAUSES, {"ids": list(party_ids)})


def list_fees(connection: Connection, currencies: Iterable[str], at: datetime) -> dict[str, int]:
    """What a payout costs at a time, by currency; a currency without a fee is missing."""
    rows = connection.exec_driver_sql(_LIST_FEES, {"currencies": list(currencies), "at": at})
    return {row.currency: row.fee_minor for row in rows}


def add_fees(
    connection: Connection, fees: Mapping[tuple[str, datetime], int]
) -> set[tuple[str, datetime]]:
    """Write dated fees; the (currency, time) of those that were new."""
    rows = connection.exec_driver_sql(
        _ADD_FEES,
        {
            "currencies": [currency for currency, _ in fees],
            "times": [valid_from for _, valid_from in fees],
            "fees": list(fees.values()),
        },
    )
    return {(row.currency, row.valid_from) for row in rows}


def lock_settlement(connection: Connection) -> None:
    """Let one settlement of this tenant run at a time, until the end of the transaction."""
    connection.exec_driver_sql(_LOCK_SETTLEMENT)


def _payout(row: RowMapping) -> Payout:
    return Payout(**{**row, "state": PayoutState(row["state"])})


def _method(row: RowMapping) -> PayoutMethod:
    return PayoutMethod(**{**row, "state": MethodState(row["state"])})
