"""What can be looked at before money leaves: payees' accounts at rails, and payouts' policy."""

from typing import Any, Final

from sqlalchemy import Connection

from engine.api import answers_payouts as shapes
from engine.api.access import Scope
from engine.api.calls import Look, Read, declare
from kernel import clock
from ledger import parties
from payouts import store_payees, store_policy
from payouts.model_payees import as_json as account_as_json
from payouts.model_policy import as_json as policy_as_json

_MOST: Final = 500


def _accounts(connection: Connection, look: Look) -> dict[str, Any] | None:
    party_id = look.ids["party_id"]
    if look.sees_only not in {None, party_id}:
        return None
    if not parties.find_many(connection, [party_id]):
        return None
    found = store_payees.list_of_parties(connection, [party_id])
    return {"items": [account_as_json(each) for each in found]}


def _account(connection: Connection, look: Look) -> dict[str, Any] | None:
    account_id = look.ids["payee_account_id"]
    found = store_payees.find_accounts(connection, [account_id]).get(account_id)
    if found is None or look.sees_only not in {None, found.party_id}:
        return None
    return account_as_json(found)


def _policies(connection: Connection, _look: Look) -> dict[str, Any]:
    now = store_policy.find_in_force(connection, clock.now(connection))
    found = store_policy.list_policies(connection, limit=_MOST)
    return {
        "cooling_days": now.cooling_days,
        "needs_verifying": now.needs_verifying,
        "items": [policy_as_json(each) for each in found],
    }


PAYOUT_READS: Final[tuple[Read, ...]] = (
    declare(
        "/v1/parties/{party_id}/payee_accounts",
        Scope.PAYOUTS_READ,
        _accounts,
        shapes.PayeeAccountsAnswer,
        summary="A payee's accounts at rails",
    ),
    declare(
        "/v1/payee_accounts/{payee_account_id}",
        Scope.PAYOUTS_READ,
        _account,
        shapes.PayeeAccountAnswer,
        summary="A payee's account at a rail, and what it still needs",
    ),
    declare(
        "/v1/payout_policies",
        Scope.PAYOUTS_READ,
        _policies,
        shapes.PayoutPoliciesAnswer,
        summary="What is asked for before money leaves",
    ),
)
"""Every look at accounts and policy."""
