"""What can be looked at of chargebacks: the sides see their own, an operator all."""

from typing import Annotated, Any, Final

from pydantic import BeforeValidator
from sqlalchemy import Connection

from engine.api import store
from engine.api.access import Scope
from engine.api.answers_chargebacks import (
    ChargebackAnswer,
    ChargebackInFull,
    EvidenceAnswer,
)
from engine.api.calls import Look, Page, PageQuery, Read, after_id, by_id, declare, page_of
from escrow import store as deals
from escrow import store_contest
from escrow.model_chargeback import Chargeback, ChargebackState
from escrow.rules_chargeback_plan import chargeback_facts
from escrow.service_chargeback_look import evidence_pack, find_chargeback, in_full


def _truth(text: object) -> object:
    return {"true": True, "false": False}.get(str(text), text)


class ChargebacksQuery(PageQuery):
    """Which chargebacks; `settled` tells those that are over from those that run."""

    state: ChargebackState | None = None
    settled: Annotated[bool, BeforeValidator(_truth)] | None = None


def _chargebacks(connection: Connection, look: Look) -> Page:
    query = look.query
    rows = store_contest.list_chargebacks(
        connection,
        after=after_id(look),
        limit=query.limit + 1,
        party_id=look.sees_only,
        state=query.state,
        is_settled=query.settled,
    )
    return page_of(rows, query.limit, show=chargeback_facts, key=by_id)


def _seen(connection: Connection, look: Look) -> Chargeback | None:
    named, party_id = look.ids["chargeback_id"], look.sees_only
    if party_id is not None and not store.is_seen(
        connection, "chargeback", named, party_id=party_id
    ):
        return None
    return find_chargeback(connection, named)


def _is_payees(connection: Connection, look: Look, row: Chargeback) -> bool:
    """Whether the looker may see the evidence: the payee and the platform, not the client."""
    if look.sees_only is None:
        return True
    (contract,) = deals.find_contracts(connection, [row.contract_id])
    return look.sees_only == contract.payee_id


def _chargeback(connection: Connection, look: Look) -> dict[str, Any] | None:
    row = _seen(connection, look)
    if row is None:
        return None
    shown = in_full(connection, row)
    if not _is_payees(connection, look, row):
        shown |= {"statements": [], "notices": [], "pieces": []}
    return shown


def _evidence(connection: Connection, look: Look) -> dict[str, Any] | None:
    row = _seen(connection, look)
    if row is None or not _is_payees(connection, look, row):
        return None
    return evidence_pack(connection, row)


CHARGEBACK_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/chargebacks",
        Scope.CONTRACTS_READ,
        _chargebacks,
        ChargebackAnswer,
        summary="What clients' banks claim back",
        query=ChargebacksQuery,
        pages=True,
    ),
    declare(
        "/v1/chargebacks/{chargeback_id}",
        Scope.CONTRACTS_READ,
        _chargeback,
        ChargebackInFull,
        summary="A chargeback, its movements, and what each took from where",
    ),
    declare(
        "/v1/chargebacks/{chargeback_id}/evidence",
        Scope.CONTRACTS_READ,
        _evidence,
        EvidenceAnswer,
        summary="What there is to show to the bank",
    ),
)
"""Every look at a chargeback."""
