"""What can be looked at of disputes: each with its clocks, options and what happens by itself."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection

from engine.api import actions, store
from engine.api.access import Scope
from engine.api.answers_disputes import DisputeAnswer, DisputeInFull
from engine.api.calls import Look, Page, PageQuery, Read, after_id, by_id, declare, page_of
from escrow import store as deals
from escrow import store_dispute
from escrow.clocks import CONSEQUENCES
from escrow.model_dispute import Dispute, DisputeState, Offer
from escrow.rules_dispute import APPEAL_WITHIN, Case, decision_facts
from escrow.service_dispute_look import list_clocks, look_dispute
from escrow.service_options import options
from kernel import clock
from kernel.money import to_json
from ledger import holds

Json = Mapping[str, Any]


def show(row: Dispute) -> dict[str, Any]:
    """A dispute without its lists."""

    def money(minor: int | None) -> Json | None:
        return None if minor is None else to_json(minor, row.currency)

    return {
        "id": str(row.id),
        "slot_id": str(row.slot_id),
        "contract_id": str(row.contract_id),
        "state": row.state.value,
        "version": row.version,
        "opened_by": row.opened_by.value,
        "claimant": row.claimant.value,
        "respondent": row.respondent.value,
        "frozen": money(row.claim_minor),
        "slot_state_before": row.state_before.value,
        "is_small_claim": row.is_small,
        "arbitration_fee": money(row.fee_minor),
        "client_elected": row.client_elected,
        "payee_elected": row.payee_elected,
        "recommended_payee": money(row.recommended_minor),
        "resolution": row.resolution and row.resolution.value,
        "payee": money(row.payee_minor),
        "client": money(row.client_minor),
        "opened_at": row.opened_at.isoformat(),
        "served_at": row.served_at and row.served_at.isoformat(),
        "due_at": row.due_at and row.due_at.isoformat(),
        "evidence_until": row.heard_by and row.heard_by.isoformat(),
        "extended_in": row.extended_in and row.extended_in.value,
        "ended_at": row.ended_at and row.ended_at.isoformat(),
        "release_id": row.release_id and str(row.release_id),
        "reserved": money(row.reserved_minor) if row.release_id else None,
        "appeal_of": row.appeal_of and str(row.appeal_of),
        "appeal_until": _appeal_until(row),
    }


def _appeal_until(row: Dispute) -> str | None:
    """Until when who lost by silence may appeal, while the money is in its security hold."""
    is_lost = row.resolution is DisputeState.DEFAULTED and row.awarded_id is not None
    return (row.ended_at + APPEAL_WITHIN).isoformat() if is_lost and row.ended_at else None


def _dispute(connection: Connection, look: Look) -> dict[str, Any] | None:
    case = look_dispute(connection, look.ids["dispute_id"])
    if case is None or not _sees(connection, look, "dispute"):
        return None
    subject = f"slot:{case.dispute.slot_id}"
    open_holds = holds.list_open(connection, [subject]).get(subject, [])
    return {
        **show(case.dispute),
        **_lists(case),
        "options": [
            actions.show(each)
            for each in options(
                connection, "dispute", case.dispute, actor=look.actor, at=clock.now(connection)
            )
            if each.is_peoples
        ],
        "if_nothing": [
            {
                "kind": each.kind,
                "due_at": each.due_at.isoformat(),
                "step": each.step,
                "leads_to": each.leads_to,
                "consequence": CONSEQUENCES[each.kind],
                "blocked_by": list(each.blocked_by),
            }
            for each in list_clocks(connection, case)
        ],
        "holds": [holds.as_json(each) for each in open_holds],
    }


def _lists(case: Case) -> dict[str, Any]:
    return {
        "offers": [_offer(each, case.dispute) for each in case.offers],
        "evidence": [
            {
                "evidence_no": each.evidence_no,
                "filed_by": each.filed_by.value,
                "sha256": each.sha256,
                "reference": each.reference,
                "filed_at": each.filed_at.isoformat(),
            }
            for each in case.evidence
        ],
        "notices": [
            {
                "notice_no": each.notice_no,
                "channel": each.channel,
                "proof": each.proof,
                "served_at": each.served_at.isoformat(),
            }
            for each in case.notices
        ],
        "decisions": [decision_facts(each, case.dispute.currency) for each in case.decisions],
    }


def _offer(each: Offer, dispute: Dispute) -> dict[str, Any]:
    figure, currency = each.payee_minor, dispute.currency
    rest = None if figure is None else to_json(dispute.claim_minor - figure, currency)
    return {
        "offer_no": each.offer_no,
        "made_by": each.made_by.value,
        "payee": None if figure is None else to_json(figure, currency),
        "client": rest,
        "made_at": each.made_at.isoformat(),
    }


def _of_slot(connection: Connection, look: Look) -> Page | None:
    slot_id, limit = look.ids["slot_id"], look.query.limit
    if not deals.find_slots(connection, [slot_id]) or not _sees(connection, look, "slot"):
        return None
    after = after_id(look)
    rows = store_dispute.list_of_slot(connection, slot_id, after=after, limit=limit + 1)
    return page_of(rows, limit, show=show, key=by_id)


def _sees(connection: Connection, look: Look, kind: str) -> bool:
    party_id, named = look.sees_only, look.ids[f"{kind}_id"]
    return party_id is None or store.is_seen(connection, kind, named, party_id=party_id)


class DisputesQuery(PageQuery):
    """Which disputes."""

    state: DisputeState | None = None


def _all(connection: Connection, look: Look) -> Page:
    query = look.query
    rows = store_dispute.list_disputes(
        connection,
        after=after_id(look),
        limit=query.limit + 1,
        party_id=look.sees_only,
        state=query.state,
    )
    return page_of(rows, query.limit, show=show, key=by_id)


DISPUTE_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/disputes",
        Scope.CONTRACTS_READ,
        _all,
        DisputeAnswer,
        summary="Disputes: a party's own, or all",
        query=DisputesQuery,
        pages=True,
    ),
    declare(
        "/v1/disputes/{dispute_id}",
        Scope.CONTRACTS_READ,
        _dispute,
        DisputeInFull,
        summary="A dispute, what can be done now, and what happens if nobody does",
    ),
    declare(
        "/v1/slots/{slot_id}/disputes",
        Scope.CONTRACTS_READ,
        _of_slot,
        DisputeAnswer,
        summary="Disputes of a slot",
        query=PageQuery,
        pages=True,
    ),
)
"""Every look at a dispute."""
