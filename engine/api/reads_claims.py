"""What can be looked at of claims: a payee sees his own, an operator all."""

from typing import Any, Final

from sqlalchemy import Connection

from engine.api.access import Scope
from engine.api.answers_claims import ClaimAnswer
from engine.api.calls import Look, Page, PageQuery, Read, after_id, by_id, declare, page_of
from escrow import store_chargeback
from escrow.model_claim import ClaimState
from escrow.rules_claims import claim_facts


class ClaimsQuery(PageQuery):
    """Which claims."""

    state: ClaimState | None = None


def _claims(connection: Connection, look: Look) -> Page:
    query = look.query
    rows = store_chargeback.list_claims(
        connection,
        after=after_id(look),
        limit=query.limit + 1,
        payee_id=look.sees_only,
        state=query.state,
    )
    return page_of(rows, query.limit, show=claim_facts, key=by_id)


def _claim(connection: Connection, look: Look) -> dict[str, Any] | None:
    claim = store_chargeback.find_claim(connection, look.ids["claim_id"])
    if claim is None or look.sees_only not in {None, claim.payee_id}:
        return None
    return claim_facts(claim)


CLAIM_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/claims",
        Scope.CONTRACTS_READ,
        _claims,
        ClaimAnswer,
        summary="What payees owe the platform",
        query=ClaimsQuery,
        pages=True,
    ),
    declare(
        "/v1/claims/{claim_id}",
        Scope.CONTRACTS_READ,
        _claim,
        ClaimAnswer,
        summary="A claim on a payee",
    ),
)
"""Every look at a claim."""
