"""What can be looked at of parties, their balances and payouts; another's are not there."""

from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field
from sqlalchemy import Connection

from engine.api import answers, store, views
from engine.api.access import Scope
from engine.api.calls import Look, Page, PageQuery, Read, after_id, by_id, declare, page_of
from engine.api.models import Id, Request
from kernel.money import to_json
from ledger import holds, parties, service
from ledger.chart import account, reserved_twin
from ledger.model_parties import PartyKind
from payouts import store as payouts
from payouts.model import PayoutState
from payouts.model import as_json as payout_as_json

_PARTY_ACCOUNTS: Final = (
    *("wallet", "earned_pending", "earned_available", "earned_reserved", "blocked"),
)


class PartiesQuery(PageQuery):
    """Which parties."""

    kind: PartyKind | None = None


class PayoutsQuery(PageQuery):
    """Which payouts."""

    payee_id: Id | None = None
    state: PayoutState | None = None


class HoldsQuery(Request):
    """Whose open holds."""

    subject: Annotated[str, Field(max_length=80)]


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
        return page_of(mine, 1, show=parties.as_json, key=by_id)
    rows = parties.list_parties(
        connection, after=after_id(look), limit=query.limit + 1, kind=query.kind
    )
    return page_of(rows, query.limit, show=parties.as_json, key=by_id)


def _balances(connection: Connection, look: Look) -> dict[str, Any] | None:
    party_id = look.ids["party_id"]
    if _party(connection, look) is None:
        return None
    shown = []
    for currency in store.list_currencies(connection, party_id):
        keys = {n: account(f"custody.{n}", currency, party_id) for n in _PARTY_ACCOUNTS}
        twins = [reserved_twin(key) for key in keys.values()]
        found = service.balances(connection, [*keys.values(), *twins])
        # What we owe the party is credit in the books; here it is simply what he has.
        amounts = {name: to_json(-found[key], currency) for name, key in keys.items()}
        amounts["set_aside"] = to_json(-sum(found[key] for key in twins), currency)
        shown.append({"currency": currency, **amounts})
    return {"party_id": str(party_id), "balances": shown}


def _holds(connection: Connection, look: Look) -> Page:
    subject: str = look.query.subject
    kind, _, text = subject.partition(":")
    party_id = look.sees_only
    if party_id is not None and not (
        kind in {"party", "contract", "slot"}
        and _is_id(text)
        and store.is_seen(connection, kind, UUID(text), party_id=party_id)
    ):
        return Page([], None)
    found = holds.list_open(connection, [subject]).get(subject, [])
    return Page([holds.as_json(each) for each in found], None)


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _payout(connection: Connection, look: Look) -> dict[str, Any] | None:
    named = look.ids["payout_id"]
    found = payouts.find_payouts(connection, [named]).get(named)
    if found is None or look.sees_only not in {None, found.payee_id}:
        return None
    return payout_as_json(found)


def _payouts(connection: Connection, look: Look) -> Page:
    query = look.query
    if look.sees_only is not None and query.payee_id not in {None, look.sees_only}:
        return Page([], None)
    ids = store.list_payouts(
        connection,
        payee_id=look.sees_only or query.payee_id,
        state=query.state and query.state.value,
        after=after_id(look),
        limit=query.limit + 1,
    )
    found = payouts.find_payouts(connection, ids)
    rows = [found[each] for each in ids]
    return page_of(rows, query.limit, show=payout_as_json, key=by_id)


def _methods(connection: Connection, look: Look) -> dict[str, Any] | None:
    if _party(connection, look) is None:
        return None
    rows = payouts.list_methods(connection, [look.ids["party_id"]])
    return {"items": [views.method(row) for row in rows]}


_P, _O = Scope.PARTIES_READ, Scope.PAYOUTS_READ

HOUSE_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/parties",
        _P,
        _parties,
        answers.PartyAnswer,
        summary="Parties",
        query=PartiesQuery,
        pages=True,
    ),
    declare("/v1/parties/{party_id}", _P, _party, answers.PartyAnswer, summary="A party"),
    declare(
        "/v1/parties/{party_id}/balances",
        _P,
        _balances,
        answers.BalancesAnswer,
        summary="What we hold for a party",
    ),
    declare(
        "/v1/parties/{party_id}/payout_methods",
        _O,
        _methods,
        answers.MethodsAnswer,
        summary="Where a party is paid to",
    ),
    declare(
        "/v1/holds",
        _P,
        _holds,
        answers.HoldAnswer,
        summary="Open holds on a subject",
        query=HoldsQuery,
        pages=True,
    ),
    declare(
        "/v1/payouts",
        _O,
        _payouts,
        answers.PayoutAnswer,
        summary="Payouts",
        query=PayoutsQuery,
        pages=True,
    ),
    declare("/v1/payouts/{payout_id}", _O, _payout, answers.PayoutAnswer, summary="A payout"),
)
"""Every look at parties and payouts."""
