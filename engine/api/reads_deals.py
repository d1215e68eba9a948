"""What can be looked at of a deal; another party's things are not there."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from engine.api import answers, store, views
from engine.api.access import Scope
from engine.api.calls import (
    Look,
    Page,
    PageQuery,
    Read,
    after_id,
    after_numbers,
    by_id,
    declare,
    page_of,
)
from engine.api.models import Id
from escrow import store as deals
from escrow.model import ContractState

Row = TypeVar("Row")

_MOST_SLOTS: Final = 2**31 - 1


class ContractsQuery(PageQuery):
    """Which contracts."""

    party_id: Id | None = None
    state: ContractState | None = None


def _sees(connection: Connection, look: Look, kind: str, subject_id: UUID) -> bool:
    party_id = look.sees_only
    return party_id is None or store.is_seen(connection, kind, subject_id, party_id=party_id)


def _one(
    kind: str, find: Callable[[Connection, Sequence[UUID]], list[Row]], show: Callable[[Row], Any]
) -> Callable[[Connection, Look], dict[str, Any] | None]:
    """A read of one row of escrow by the id in its path."""

    def fetch(connection: Connection, look: Look) -> dict[str, Any] | None:
        named = look.ids[f"{kind}_id"]
        found = find(connection, [named])
        if not found or not _sees(connection, look, kind, named):
            return None
        shown: dict[str, Any] = show(found[0])
        return shown

    return fetch


def _of_contract(
    kind: str, find: Callable[[Connection, Sequence[UUID]], list[Row]], show: Callable[[Row], Any]
) -> Callable[[Connection, Look], Page | None]:
    """A page of a contract's rows of one kind."""

    def fetch(connection: Connection, look: Look) -> Page | None:
        contract_id, limit = look.ids["contract_id"], look.query.limit
        known = deals.find_contracts(connection, [contract_id])
        if not known or not _sees(connection, look, "contract", contract_id):
            return None
        ids = store.list_of_contract(
            connection, kind, contract_id, after=after_id(look), limit=limit + 1
        )
        rows = find(connection, ids)
        return page_of(rows, limit, show=show, key=by_id)

    return fetch


def _contracts(connection: Connection, look: Look) -> Page:
    query = look.query
    ids = store.list_contracts(
        connection,
        sees_only=look.sees_only,
        party_id=query.party_id,
        state=query.state and query.state.value,
        after=after_id(look),
        limit=query.limit + 1,
    )
    rows = deals.find_contracts(connection, ids)
    return page_of(rows, query.limit, show=views.contract, key=by_id)


def _slots(connection: Connection, look: Look) -> Page | None:
    contract_id, limit = look.ids["contract_id"], look.query.limit
    known = deals.find_contracts(connection, [contract_id])
    if not known or not _sees(connection, look, "contract", contract_id):
        return None
    after = min(after_numbers(look)[0], _MOST_SLOTS)
    ids = store.list_slots(connection, contract_id, after=after, limit=limit + 1)
    rows = sorted(deals.find_slots(connection, ids), key=lambda row: row.seq)
    return page_of(rows, limit, show=views.slot, key=lambda row: (row.seq,))


def _terms(connection: Connection, look: Look) -> Page | None:
    contract_id = look.ids["contract_id"]
    rows = store.list_terms(connection, contract_id)
    if not rows or not _sees(connection, look, "contract", contract_id):
        return None
    return Page([views.term(row) for row in rows], None)


def _term(connection: Connection, look: Look) -> dict[str, Any] | None:
    row = store.find_term(connection, look.ids["term_id"])
    if row is None or not _sees(connection, look, "contract", row.contract_id):
        return None
    return views.term(row)


def _submissions(connection: Connection, look: Look) -> dict[str, Any] | None:
    slot_id = look.ids["slot_id"]
    if not deals.find_slots(connection, [slot_id]) or not _sees(connection, look, "slot", slot_id):
        return None
    return {
        "items": [
            {
                "submission_no": row.submission_no,
                "message_ref": row.message_ref,
                "artefact_refs": list(row.artefact_refs),
                "submitted_at": row.submitted_at.isoformat(),
            }
            for row in store.list_submissions(connection, slot_id)
        ]
    }


def _amendment(connection: Connection, look: Look) -> dict[str, Any] | None:
    named = look.ids["amendment_id"]
    found = deals.find_amendments(connection, [named])
    if not found or not _sees(connection, look, "amendment", named):
        return None
    (contract,) = deals.find_contracts(connection, [found[0].contract_id])
    return views.amendment(found[0], contract.currency)


_C = Scope.CONTRACTS_READ
_SLOT = "/v1/slots/{slot_id}"
_DEAL = "/v1/contracts/{contract_id}"
_LIST: Final[dict[str, Any]] = {"query": PageQuery, "pages": True}

DEAL_READS: Final[tuple[Read, ...]] = (
    declare(
        _SLOT, _C, _one("slot", deals.find_slots, views.slot), answers.SlotAnswer, summary="A slot"
    ),
    declare(
        f"{_SLOT}/submissions",
        _C,
        _submissions,
        answers.SubmissionsAnswer,
        summary="Work that was shown",
    ),
    declare(
        _DEAL,
        _C,
        _one("contract", deals.find_contracts, views.contract),
        answers.ContractAnswer,
        summary="A contract",
    ),
    declare(
        f"{_DEAL}/terms", _C, _terms, answers.TermAnswer, summary="Terms of a contract", pages=True
    ),
    declare(
        f"{_DEAL}/slots",
        _C,
        _slots,
        answers.SlotAnswer,
        summary="Slots of a contract",
        **_LIST,
    ),
    declare(
        f"{_DEAL}/fundings",
        _C,
        _of_contract("funding", deals.find_fundings, views.funding),
        answers.FundingAnswer,
        summary="Payments for a contract",
        **_LIST,
    ),
    declare(
        f"{_DEAL}/releases",
        _C,
        _of_contract("release", deals.find_releases, views.release),
        answers.ReleaseAnswer,
        summary="Releases of a contract",
        **_LIST,
    ),
    declare(
        f"{_DEAL}/refunds",
        _C,
        _of_contract("refund", deals.find_refunds, views.refund),
        answers.RefundAnswer,
        summary="Refunds of a contract",
        **_LIST,
    ),
    declare(
        "/v1/contracts",
        _C,
        _contracts,
        answers.ContractAnswer,
        summary="Contracts",
        query=ContractsQuery,
        pages=True,
    ),
    declare("/v1/terms/{term_id}", _C, _term, answers.TermAnswer, summary="A term"),
    declare(
        "/v1/amendments/{amendment_id}",
        _C,
        _amendment,
        answers.AmendmentAnswer,
        summary="An amendment",
    ),
    declare(
        "/v1/fundings/{funding_id}",
        _C,
        _one("funding", deals.find_fundings, views.funding),
        answers.FundingAnswer,
        summary="A payment by the client",
    ),
    declare(
        "/v1/releases/{release_id}",
        _C,
        _one("release", deals.find_releases, views.release),
        answers.ReleaseAnswer,
        summary="A release",
    ),
    declare(
        "/v1/refunds/{refund_id}",
        _C,
        _one("refund", deals.find_refunds, views.refund),
        answers.RefundAnswer,
        summary="A refund",
    ),
)
"""Every look at a deal."""
