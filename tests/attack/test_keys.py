"""A key as a ladder: what the holder of a small key may not reach by making or rotating keys."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.api.access import Scope
from tests.engine.api.conftest import Api, make_key, make_party


def _small(api: Api, **given: Any) -> Api:
    return api.with_key(make_key(api.engine, **{"scopes": ["keys:write"], **given}))


def test_a_small_key_does_not_get_the_secret_of_a_greater_one(api: Api) -> None:
    """Rotating a key shows a secret with all its rights: only who has them may do it."""
    great = api.post("/v1/keys", {"scopes": ["keys:write", "money:write"], "is_operator": True})
    wider = api.post("/v1/keys", {"scopes": ["keys:write", "money:write"]})

    for target in (great, wider):
        rotated = _small(api).post(f"/v1/keys/{target.body['id']}/rotate")
        assert (rotated.status, rotated.code) == (403, "auth.scope_missing")


def test_a_partys_small_key_does_not_get_the_partys_greater_one(api: Api) -> None:
    """The same within one party: its accountant's key does not turn into its owner's."""
    party = make_party(api, "freelancer")
    great = api.as_party(party).post("/v1/keys", {"scopes": ["payouts:write"]}).body

    rotated = _small(api, party_id=party).post(f"/v1/keys/{great['id']}/rotate")

    assert (rotated.status, rotated.code) == (403, "auth.scope_missing")


def test_a_key_outlives_itself_by_rotation_only_as_long_as_it_was_to_live(api: Api) -> None:
    """A key that ends tomorrow makes none that lives longer."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    maker = _small(api, scopes=[Scope.KEYS_WRITE.value], expires_at=tomorrow)

    made = maker.post("/v1/keys", {"scopes": ["keys:write"]})
    later = maker.post("/v1/keys", {"scopes": ["keys:write"], "expires_at": "2199-01-01T00:00:00Z"})

    for answer in (made, later):
        assert answer.status == 201
        assert datetime.fromisoformat(answer.body["expires_at"]) == tomorrow


@pytest.mark.parametrize(
    "terms",
    [
        {"commission_bps": 0},
        {"client_fee_bps": 0},
        {"security_hold_days": 0},
        {"dormant_limit": {"amount": "1000000.00", "currency": "EUR"}},
    ],
)
def test_parties_do_not_set_the_platforms_own_terms(api: Api, terms: dict[str, Any]) -> None:
    """What the platform earns and how long it holds money is not for a party's own key to say."""
    client, payee = make_party(api, "client"), make_party(api, "freelancer")
    caller = api.with_key(make_key(api.engine, party_id=client))
    body = {
        "client_id": client,
        "payee_id": payee,
        "currency": "EUR",
        "milestones": [{"amount": {"amount": "100.00", "currency": "EUR"}}],
        "terms": terms,
    }

    one = caller.post("/v1/contracts", body)
    many = caller.post("/v1/contracts:propose", {"items": [body]})

    assert (one.status, one.code) == (403, "auth.platform_only")
    assert many.body["results"][0]["problem"]["code"] == "auth.platform_only"
    assert caller.post("/v1/contracts", body | {"terms": {}}).status == 201
