"""What escrow writes: new rows and moved rows, one array statement for any number of them.

A save names version and state as the lock showed them and is Broken if a row is no longer so.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from escrow.model import Amendment, Contract, Funding, Lot, Refund, Release, Slot, Submission
from escrow.store_arrays import insert_into, names_of, update_of, write_arrays
from escrow.tables import AMENDMENT, CONTRACT, FUNDING, LOT, REFUND, RELEASE, SLOT, TERM

_ADD_CONTRACTS: Final = insert_into(CONTRACT)
_ADD_TERMS: Final = insert_into(TERM)
_ADD_SLOTS: Final = insert_into(SLOT)
_ADD_FUNDINGS: Final = insert_into(FUNDING)
_ADD_LOTS: Final = insert_into(LOT)
_ADD_RELEASES: Final = insert_into(RELEASE)
_ADD_REFUNDS: Final = insert_into(REFUND)
_ADD_AMENDMENTS: Final = insert_into(AMENDMENT)
_ADD_SUBMISSIONS: Final = """
INSERT INTO submission (slot_id, submission_no, message_ref, artefact_refs, submitted_at)
SELECT slot_id, submission_no, message_ref,
    ARRAY(SELECT jsonb_array_elements_text(refs::jsonb)), submitted_at
FROM unnest(%s::uuid[], %s::integer[], %s::text[], %s::text[], %s::timestamptz[])
    AS given (slot_id, submission_no, message_ref, refs, submitted_at)
"""

_PINS: Final = (
    *("payee_schedule_id", "client_schedule_id", "promotion_schedule_id", "promotion_until"),
    "fx_margin_bps",
)
_CONTRACT_CHANGES: Final = ("state", "version", "accepted_at", *_PINS)
_SLOT_CHANGES: Final = (
    *("state", "version", "amount_minor", "active_at", "funded_minor", "rolled_in_minor"),
    *("held_minor", "released_minor", "refunded_minor", "rolled_out_minor", "uncleared_minor"),
    *("fee_deferred_minor", "lot_count", "submission_no", "submission_count", "change_rounds"),
    *("confirmed_by", "notices", "disputed_minor", "returned_minor", "contested_minor"),
    *("recalled_minor", "charged_back_minor"),
)
_FUNDING_CHANGES: Final = (
    *("state", "version", "captured_minor", "refunded_minor", "rail_fee_minor", "rail_ref"),
    *("code", "release_id", "charged_back_minor", "in_dispute"),
)
_REFUND_CHANGES: Final = ("state", "version", "rail_ref", "code")

_SAVE_CONTRACTS: Final = update_of(
    CONTRACT, keys=("id",), changed=_CONTRACT_CHANGES, same=("version", "state")
)
_SAVE_SLOTS: Final = update_of(SLOT, keys=("id",), changed=_SLOT_CHANGES, same=("version", "state"))
_SAVE_FUNDINGS: Final = update_of(
    FUNDING, keys=("id",), changed=_FUNDING_CHANGES, same=("version", "state")
)
_SAVE_LOTS: Final = update_of(
    LOT, keys=("slot_id", "seq"), changed=("gone_minor", "fee_gone_minor"), same=("gone_minor",)
)
_RELEASE_CHANGES: Final = ("state", "taken_gross_minor", "taken_net_minor")
_RELEASE_SAME: Final = ("state", "taken_net_minor")
_SAVE_RELEASES: Final = update_of(
    RELEASE, keys=("id",), changed=_RELEASE_CHANGES, same=_RELEASE_SAME
)
_SAVE_REFUNDS: Final = update_of(
    REFUND, keys=("id",), changed=_REFUND_CHANGES, same=("version", "state")
)
_SAVE_AMENDMENTS: Final = update_of(AMENDMENT, keys=("id",), changed=("state",), same=("state",))


def _cells(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Reads the named fields of a row, always as a tuple."""
    if len(names) == 1:
        (name,) = names
        return lambda row: (getattr(row, name),)
    return attrgetter(*names)


_SLOT_CELLS: Final = _cells(names_of(SLOT))
_PIN_CELLS: Final = _cells(_PINS)
_FUNDING_CELLS: Final = _cells(names_of(FUNDING))
_LOT_CELLS: Final = _cells(names_of(LOT))
_RELEASE_CELLS: Final = _cells(names_of(RELEASE))
_REFUND_CELLS: Final = _cells(names_of(REFUND))
_AMENDMENT_CELLS: Final = _cells(names_of(AMENDMENT))


def _contract_cells(contract: Contract) -> tuple[Any, ...]:
    terms = contract.terms
    return (
        *(contract.id, contract.client_id, contract.payee_id, contract.currency, contract.state),
        *(contract.version, contract.proposed_by, terms.commission_bps, terms.client_fee_bps),
        *(terms.security_hold_days, terms.auto_release_after, terms.release_rule),
        *(terms.refund_reply_after, terms.dormant_after, terms.dormant_limit_minor),
        *(terms.free_change_rounds, contract.created_at, contract.accepted_at),
        *(terms.origin, terms.category, terms.payee_currency, terms.convert_at),
        *_PIN_CELLS(contract.pins),
    )


def add_contracts(connection: Connection, contracts: Sequence[Contract]) -> None:
    """Write new contracts."""
    write_arrays(connection, _ADD_CONTRACTS, [_contract_cells(each) for each in contracts])


def add_slots(connection: Connection, slots: Sequence[Slot], titles: Sequence[str | None]) -> None:
    """Write new slots, each with its term; None as title: the term is there already."""
    terms = [
        (slot.term_id, slot.contract_id, "milestone", title, slot.created_at)
        for slot, title in zip(slots, titles, strict=True)
        if title is not None
    ]
    write_arrays(connection, _ADD_TERMS, terms)
    write_arrays(connection, _ADD_SLOTS, [_SLOT_CELLS(slot) for slot in slots])


def add_submissions(connection: Connection, submissions: Sequence[Submission]) -> None:
    """Write what was shown."""
    rows = [
        (s.slot_id, s.submission_no, s.message_ref, _json(s.artefact_refs), s.submitted_at)
        for s in submissions
    ]
    write_arrays(connection, _ADD_SUBMISSIONS, rows)


def add_fundings(connection: Connection, fundings: Sequence[Funding]) -> None:
    """Write new fundings."""
    write_arrays(connection, _ADD_FUNDINGS, [_FUNDING_CELLS(each) for each in fundings])


def add_lots(connection: Connection, lots: Sequence[Lot]) -> None:
    """Write what fundings put into slots."""
    write_arrays(connection, _ADD_LOTS, [_LOT_CELLS(each) for each in lots])


def add_releases(connection: Connection, releases: Sequence[Release]) -> None:
    """Write new releases."""
    write_arrays(connection, _ADD_RELEASES, [_RELEASE_CELLS(each) for each in releases])


def add_refunds(connection: Connection, refunds: Sequence[Refund]) -> None:
    """Write new refunds."""
    write_arrays(connection, _ADD_REFUNDS, [_REFUND_CELLS(each) for each in refunds])


def add_amendments(connection: Connection, amendments: Sequence[Amendment]) -> None:
    """Write offered amendments."""
    write_arrays(connection, _ADD_AMENDMENTS, [_AMENDMENT_CELLS(each) for each in amendments])


def save_contracts(connection: Connection, moves: Sequence[tuple[Contract, Contract]]) -> None:
    """Move contracts on."""
    rows = [
        (
            *(old.id, new.state, new.version, new.accepted_at),
            *_PIN_CELLS(new.pins),
            *(old.version, old.state),
        )
        for old, new in moves
    ]
    write_arrays(connection, _SAVE_CONTRACTS, rows, must_change=True)


def save_slots(connection: Connection, moves: Sequence[tuple[Slot, Slot]]) -> None:
    """Move slots on, with their money."""
    _save(connection, _SAVE_SLOTS, moves, _SLOT_CHANGES, ("version", "state"))


def save_fundings(connection: Connection, moves: Sequence[tuple[Funding, Funding]]) -> None:
    """Move fundings on."""
    _save(connection, _SAVE_FUNDINGS, moves, _FUNDING_CHANGES, ("version", "state"))


def save_lots(connection: Connection, moves: Sequence[tuple[Lot, Lot]]) -> None:
    """Take from lots."""
    rows = [
        (old.slot_id, old.seq, new.gone_minor, new.fee_gone_minor, old.gone_minor)
        for old, new in moves
    ]
    write_arrays(connection, _SAVE_LOTS, rows, must_change=True)


def save_releases(connection: Connection, moves: Sequence[tuple[Release, Release]]) -> None:
    """Move releases on."""
    _save(connection, _SAVE_RELEASES, moves, _RELEASE_CHANGES, _RELEASE_SAME)


def save_refunds(connection: Connection, moves: Sequence[tuple[Refund, Refund]]) -> None:
    """Move refunds on."""
    _save(connection, _SAVE_REFUNDS, moves, _REFUND_CHANGES, ("version", "state"))


def save_amendments(connection: Connection, moves: Sequence[tuple[Amendment, Amendment]]) -> None:
    """Move amendments on."""
    _save(connection, _SAVE_AMENDMENTS, moves, ("state",), ("state",))


def _json(refs: Sequence[str]) -> str:
    return orjson.dumps(list(refs)).decode()


def _save(
    connection: Connection,
    statement: str,
    moves: Sequence[tuple[Any, Any]],
    changed: Sequence[str],
    same: Sequence[str],
) -> None:
    new, old = _cells(changed), _cells(same)
    rows = [(before.id, *new(after), *old(before)) for before, after in moves]
    write_arrays(connection, statement, rows, must_change=True)
