"""What can be looked at of parties, deals and payouts; another party's things are not there."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

from pydantic import Field
from sqlalchemy import Connection

from engine.api import actions, answers, store, views
from engine.api.access import Scope
from engine.api.calls import Look, Page, Read, page_of
from engine.api.models import Id, Request
from escrow import store as deals
from escrow.model import ContractState
from kernel.money import to_json
from ledger import holds, parties, service
from ledger.chart import account
from ledger.model_parties import PartyKind
from payouts import store as payouts
from payouts.model import PayoutState

Row = TypeVar("Row")

_PARTY_ACCOUNTS: Final = (
    *("wallet", "earned_pending", "earned_available", "earned_reserved", "blocked"),
)


class PageQuery(Request):
    """How much of a list, and from where."""

    limit: Annotated[int, Field(ge=1, le=500)] = 100
    cursor: Annotated[str, Field(min_length=1, max_length=500)] | None = None


class PartiesQuery(PageQuery):
    """Which parties."""

    kind: PartyKind | None = None


class ContractsQuery(PageQuery):
    """Which contracts."""

    party_id: Id | None = None
    state: ContractState | None = None


class PayoutsQuery(PageQuery):
    """Which payouts."""

    payee_id: Id | None = None
    state: PayoutState | None = None


class HoldsQuery(Request):
    """Whose open holds."""

    subject: Annotated[str, Field(max_length=80)]


def _after(look: Look) -> UUID | None:
    return None if look.after is None else UUID(look.after[0])


def _sees(connection: Connection, look: Look, kind: str, subject_id: UUID) -> bool:
    party_id = look.sees_only
    return party_id is None or store.is_seen(connection, kind, subject_id, party_id)


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
            connection, kind, contract_id, after=_after(look), limit=limit + 1
        )
        rows = find(connection, ids)
        return page_of(rows, limit, show=show, key=_by_id)

    return fetch


def _by_id(row: Any) -> tuple[str]:  # noqa: ANN401  any row with an id
    return (str(row.id),)


def _party(connection: Connection, look: Look) -> dict[str, Any] | None:
    party_id = look.ids["party_id"]
    if look.sees_only not in {None, party_id}:
        return None
    found = parties.find_many(connection, [party_id]).get(party_id)
    return None if found is None else parties.as_json(found)


def _parties(connection: Connection, look: Look) -> Page:
    query = look.query
    if look.sees_only is not None:
        own = parties.find_many(connection, [look.sees_only]).values()
        mine = [each for each in own if query.kind in {None, each.kind}]
        return page_of(mine, 1, show=parties.as_json, key=_by_id)
    rows = parties.list_parties(
        connection, after=_after(look), limit=query.limit + 1, kind=query.kind
    )
    return page_of(rows, query.limit, show=parties.as_json, key=_by_id)


def _balances(connection: Connection, look: Look) -> dict[str, Any] | None:
    party_id = look.ids["party_id"]
    if _party(connection, look) is None:
        return None
    shown = []
    for currency in store.list_currencies(connection, party_id):
        keys = {n: account(f"custody.{n}", currency, party_id) for n in _PARTY_ACCOUNTS}
        found = service.balances(connection, list(keys.values()))
        # What we owe the party is credit in the books; here it is simply what he has.
        amounts = {name: to_json(-found[key], currency) for name, key in keys.items()}
        shown.append({"currency": currency, **amounts})
    return {"party_id": str(party_id), "balances": shown}


def _holds(connection: Connection, look: Look) -> Page:
    subject: str = look.query.subject
    kind, _, text = subject.partition(":")
    party_id = look.sees_only
    if party_id is not None and not (
        kind in {"party", "contract", "slot"}
        and _is_id(text)
        and store.is_seen(connection, kind, UUID(text), party_id)
    ):
        return Page([], None)
    found = holds.list_open(connection, [subject]).get(subject, [])
    return Page([views.hold(each) for each in found], None)


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _contracts(connection: Connection, look: Look) -> Page:
    query = look.query
    ids = store.list_contracts(
        connection,
        sees_only=look.sees_only,
        party_id=query.party_id,
        state=query.state and query.state.value,
        after=_after(look),
        limit=query.limit + 1,
    )
    rows = deals.find_contracts(connection, ids)
    return page_of(rows, query.limit, show=views.contract, key=_by_id)


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


def _payout(connection: Connection, look: Look) -> dict[str, Any] | None:
    named = look.ids["payout_id"]
    found = payouts.find_payouts(connection, [named]).get(named)
    if found is None or look.sees_only not in {None, found.payee_id}:
        return None
    return views.payout(found)


def _payouts(connection: Connection, look: Look) -> Page:
    query = look.query
    if look.sees_only is not None and query.payee_id not in {None, look.sees_only}:
        return Page([], None)
    ids = store.list_payouts(
        connection,
        payee_id=look.sees_only or query.payee_id,
        state=query.state and query.state.value,
        after=_after(look),
        limit=query.limit + 1,
    )
    found = payouts.find_payouts(connection, ids)
    rows = [found[each] for each in ids]
    return page_of(rows, query.limit, show=views.payout, key=_by_id)


def _methods(connection: Connection, look: Look) -> dict[str, Any] | None:
    if _party(connection, look) is None:
        return None
    rows = payouts.list_methods(connection, [look.ids["party_id"]])
    return {"items": [views.method(row) for row in rows]}


def _read(path: str, scope: Scope, fetch: Any, answer: Any, summary: str, **more: Any) -> Read:  # noqa: ANN401
    return Read(path=path, scope=scope, fetch=fetch, answer=answer, summary=summary, **more)


_P, _C, _O = Scope.PARTIES_READ, Scope.CONTRACTS_READ, Scope.PAYOUTS_READ
_SLOT = "/v1/slots/{slot_id}"
_DEAL = "/v1/contracts/{contract_id}"
_LIST: Final[dict[str, Any]] = {"query": PageQuery, "pages": True}

DEAL_READS: Final[tuple[Read, ...]] = (
    _read(_SLOT, _C, _one("slot", deals.find_slots, views.slot), answers.SlotAnswer, "A slot"),
    _read(
        f"{_SLOT}/actions",
        _C,
        actions.of_slot,
        answers.ActionsAnswer,
        "What can be done with a slot now",
    ),
    _read(
        f"{_SLOT}/submissions", _C, _submissions, answers.SubmissionsAnswer, "Work that was shown"
    ),
    _read(
        _DEAL,
        _C,
        _one("contract", deals.find_contracts, views.contract),
        answers.ContractAnswer,
        "A contract",
    ),
    _read(
        f"{_DEAL}/actions",
        _C,
        actions.of_contract,
        answers.ActionsAnswer,
        "What can be done with a contract now",
    ),
    _read(f"{_DEAL}/terms", _C, _terms, answers.TermAnswer, "Terms of a contract", pages=True),
    _read(
        f"{_DEAL}/slots",
        _C,
        _of_contract("slot", deals.find_slots, views.slot),
        answers.SlotAnswer,
        "Slots of a contract",
        **_LIST,
    ),
    _read(
        f"{_DEAL}/fundings",
        _C,
        _of_contract("funding", deals.find_fundings, views.funding),
        answers.FundingAnswer,
        "Payments for a contract",
        **_LIST,
    ),
    _read(
        f"{_DEAL}/releases",
        _C,
        _of_contract("release", deals.find_releases, views.release),
        answers.ReleaseAnswer,
        "Releases of a contract",
        **_LIST,
    ),
    _read(
        f"{_DEAL}/refunds",
        _C,
        _of_contract("refund", deals.find_refunds, views.refund),
        answers.RefundAnswer,
        "Refunds of a contract",
        **_LIST,
    ),
    _read(
        "/v1/contracts",
        _C,
        _contracts,
        answers.ContractAnswer,
        "Contracts",
        query=ContractsQuery,
        pages=True,
    ),
    _read("/v1/terms/{term_id}", _C, _term, answers.TermAnswer, "A term"),
    _read("/v1/amendments/{amendment_id}", _C, _amendment, answers.AmendmentAnswer, "An amendment"),
    _read(
        "/v1/fundings/{funding_id}",
        _C,
        _one("funding", deals.find_fundings, views.funding),
        answers.FundingAnswer,
        "A payment by the client",
    ),
    _read(
        "/v1/fundings/{funding_id}/actions",
        _C,
        actions.of_funding,
        answers.ActionsAnswer,
        "What can be done with a payment now",
    ),
    _read(
        "/v1/releases/{release_id}",
        _C,
        _one("release", deals.find_releases, views.release),
        answers.ReleaseAnswer,
        "A release",
    ),
    _read(
        "/v1/releases/{release_id}/actions",
        _C,
        actions.of_release,
        answers.ActionsAnswer,
        "What happens with a release",
    ),
    _read(
        "/v1/refunds/{refund_id}",
        _C,
        _one("refund", deals.find_refunds, views.refund),
        answers.RefundAnswer,
        "A refund",
    ),
    _read(
        "/v1/refunds/{refund_id}/actions",
        _C,
        actions.of_refund,
        answers.ActionsAnswer,
        "What happens with a refund",
    ),
)
"""Every look at a deal."""

HOUSE_READS: Final[tuple[Read, ...]] = (
    _read(
        "/v1/parties",
        _P,
        _parties,
        answers.PartyAnswer,
        "Parties",
        query=PartiesQuery,
        pages=True,
    ),
    _read("/v1/parties/{party_id}", _P, _party, answers.PartyAnswer, "A party"),
    _read(
        "/v1/parties/{party_id}/balances",
        _P,
        _balances,
        answers.BalancesAnswer,
        "What we hold for a party",
    ),
    _read(
        "/v1/parties/{party_id}/payout_methods",
        _O,
        _methods,
        answers.MethodsAnswer,
        "Where a party is paid to",
    ),
    _read(
        "/v1/holds",
        _P,
        _holds,
        answers.HoldAnswer,
        "Open holds on a subject",
        query=HoldsQuery,
        pages=True,
    ),
    _read(
        "/v1/payouts", _O, _payouts, answers.PayoutAnswer, "Payouts", query=PayoutsQuery, pages=True
    ),
    _read("/v1/payouts/{payout_id}", _O, _payout, answers.PayoutAnswer, "A payout"),
    _read(
        "/v1/payouts/{payout_id}/actions",
        _O,
        actions.of_payout,
        answers.ActionsAnswer,
        "What can be done with a payout now",
    ),
)
"""Every look at parties and payouts."""
