"""Reading without a lock: a chargeback with its lists, and what there is to show to the bank."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from escrow import store, store_contest
from escrow.model import Contract, Funding, Slot
from escrow.model_chargeback import Chargeback, Piece
from escrow.rules_chargeback_plan import chargeback_facts
from kernel.money import to_json

Json = dict[str, Any]

TOLD_OF_CONTRACT: Final = ("contract.proposed", "contract.accepted")
TOLD_OF_SLOT: Final = (
    *("slot.proposed", "slot.accepted", "slot.funded", "slot.topped_up", "slot.submitted"),
    *("slot.changes_requested", "slot.confirmed", "slot.partly_released", "slot.released"),
    *("slot.refund_requested", "slot.refunded", "slot.refunded_later"),
)
"""Events that show to a bank what both sides did; releases among them are the approvals."""


def find_chargeback(connection: Connection, chargeback_id: UUID) -> Chargeback | None:
    """A chargeback as it stands."""
    found = store_contest.find_chargebacks(connection, [chargeback_id])
    return found[0] if found else None


def in_full(connection: Connection, row: Chargeback) -> Json:
    """A chargeback with its movements, what each took from where, and what was filed."""
    return {
        **chargeback_facts(row),
        "movements": [
            {
                "movement": each.rail_ref,
                "direction": each.direction.value,
                "moved": to_json(each.amount_minor, row.currency),
                "disputed": to_json(each.disputed_minor, row.currency),
                "network_fee": to_json(each.fee_minor, row.currency),
                "occurred_at": each.occurred_at.isoformat(),
            }
            for each in store_contest.list_movements(connection, row.id)
        ],
        "pieces": [
            _piece(each, row.currency) for each in store_contest.list_pieces(connection, row.id)
        ],
        "reserved": to_json(
            sum(each.left_minor for each in store_contest.list_reserves(connection, row.id)),
            row.currency,
        ),
        **filed(connection, row),
    }


def filed(connection: Connection, row: Chargeback) -> Json:
    """What was filed for the evidence, and the proofs that the payee was told."""
    return {
        "statements": [
            {
                "statement_no": each.statement_no,
                "filed_by": each.filed_by,
                "reference": each.reference,
                "sha256": each.sha256,
                "filed_at": each.filed_at.isoformat(),
            }
            for each in store_contest.list_statements(connection, row.id)
        ],
        "notices": [
            {
                "channel": each.channel,
                "proof": each.proof,
                "told_at": each.told_at.isoformat(),
            }
            for each in store_contest.list_notices(connection, row.id)
        ],
    }


def _piece(piece: Piece, currency: str) -> Json:
    return {
        "piece_no": piece.piece_no,
        "movement": piece.movement_ref,
        "source": piece.source.value,
        "slot_id": piece.slot_id and str(piece.slot_id),
        "money": to_json(piece.money_minor, currency),
        "client_fee": to_json(piece.fee_minor, currency),
        "away": to_json(piece.out_minor, currency),
        "is_lost": piece.is_lost,
        "claim_id": piece.claim_id and str(piece.claim_id),
    }


def evidence_pack(connection: Connection, row: Chargeback) -> Json:
    """Contract, payment, slots, submissions with their messages, approvals, and what was filed.

    References and hashes, never a content: the platform keeps messages and files.
    """
    (funding,) = store.find_fundings(connection, [row.funding_id])
    (contract,) = store.find_contracts(connection, [row.contract_id])
    slot_ids = store_contest.find_lot_slots(connection, row.funding_id)
    slots = store.find_slots(connection, slot_ids)
    subjects = [f"contract:{contract.id}", *(f"slot:{each}" for each in slot_ids)]
    told = store_contest.list_told(
        connection, subjects=subjects, kinds=(*TOLD_OF_CONTRACT, *TOLD_OF_SLOT)
    )
    return {
        "chargeback": chargeback_facts(row),
        "contract": _contract(contract),
        "payment": _payment(funding),
        "slots": [_slot(each) for each in slots],
        "submissions": [
            {**each, "slot_id": str(each["slot_id"])}
            for each in store_contest.list_submissions(connection, slot_ids)
        ],
        "history": [_event(each) for each in told],
        **filed(connection, row),
    }


def _contract(contract: Contract) -> Json:
    return {
        "contract_id": str(contract.id),
        "client_id": str(contract.client_id),
        "payee_id": str(contract.payee_id),
        "currency": contract.currency,
        "release_rule": contract.terms.release_rule.value,
        "auto_release_hours": int(contract.terms.auto_release_after.total_seconds()) // 3_600,
        "accepted_at": contract.accepted_at and contract.accepted_at.isoformat(),
    }


def _payment(funding: Funding) -> Json:
    return {
        "funding_id": str(funding.id),
        "method": funding.method.value,
        "rail_ref": funding.rail_ref,
        "captured": to_json(funding.captured_minor, funding.currency),
        "refunded": to_json(funding.refunded_minor, funding.currency),
        "created_at": funding.created_at.isoformat(),
    }


def _slot(slot: Slot) -> Json:
    return {
        "slot_id": str(slot.id),
        "state": slot.state.value,
        "price": to_json(slot.amount_minor, slot.currency),
        "released": to_json(slot.released_minor, slot.currency),
    }


def _event(row: Mapping[str, Any]) -> Json:
    return {
        "event_id": str(row["id"]),
        "kind": row["kind"],
        "subject": row["subject"],
        "by": row["actor_kind"],
        "party_id": row["party_id"] and str(row["party_id"]),
        "at": row["effective_at"].isoformat(),
    }
