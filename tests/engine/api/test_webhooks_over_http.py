"""Receivers of our events over HTTP: made, rotated, tried, replayed; a secret is shown once."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from standardwebhooks.webhooks import Webhook

from engine.api import views
from engine.sealer import seal_all
from engine.webhooks.sender import LOOPBACK, WebhookLoop
from engine.webhooks.wire import Wire
from kernel.database import transaction
from kernel.ids import new_id
from tests.engine.api.conftest import ALL, Api, make_key
from tests.engine.webhooks.receiver import Receiver, receiving, say
from tests.fixtures.databases import TENANT

ALL_ENDPOINTS = "/v1/webhook_endpoints"


@pytest.fixture
def receiver(api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver on this machine, of a sandbox whose people asked for that."""
    monkeypatch.setenv(LOOPBACK, "1")
    seal_all(api.engine, TENANT)
    with receiving() as found:
        yield found


def _send(engine: Engine) -> None:
    seal_all(engine, TENANT)
    loop = WebhookLoop(engine, lambda: [TENANT], Wire(views.event), environment={LOOPBACK: "1"})
    while loop.look_at(TENANT):
        pass


def test_a_receiver_is_made_tried_and_hears_what_happens(api: Api, receiver: Receiver) -> None:
    """Made with its secret, a test arrives, an event arrives, and both verify by that secret."""
    made = api.post(ALL_ENDPOINTS, {"url": receiver.url, "kinds": ["party.*"], "label": "ours"})
    one = f"{ALL_ENDPOINTS}/{made.body['id']}"

    tested = api.post(f"{one}/test")
    _send(api.engine)
    api.post("/v1/parties", {"kind": "client"})
    _send(api.engine)

    assert (made.status, tested.status) == (201, 200)
    secret = Webhook(made.body["secret"])
    kinds = [secret.verify(body, headers)["type"] for headers, body in receiver.came]
    assert kinds == ["webhook.test", "party.created"]
    shown = api.get(one).body
    assert "secret" not in shown
    assert shown["url"] == receiver.url
    states = api.get("/v1/webhook_deliveries", endpoint_id=made.body["id"]).body["items"]
    assert [each["state"] for each in states] == ["delivered", "delivered"]


def test_a_secret_is_shown_once_and_not_by_a_repeated_call(api: Api, receiver: Receiver) -> None:
    """The same Idempotency-Key again: the same endpoint without its secret, none is made twice."""
    key, body = str(new_id()), {"url": receiver.url}

    first, second = (api.post(ALL_ENDPOINTS, body, key=key) for _ in range(2))
    rotated = api.post(f"{ALL_ENDPOINTS}/{first.body['id']}/rotate", {"overlap_hours": 1})

    assert first.body["id"] == second.body["id"]
    assert first.body["secret"].startswith("whsec_")
    assert "secret" not in second.body
    assert rotated.body["secret"] not in {"", first.body["secret"]}
    with transaction(api.engine, TENANT) as connection:
        kept = connection.exec_driver_sql(
            "SELECT count(*) FROM idempotency t WHERE to_jsonb(t)::text LIKE '%%whsec%%'"
        ).scalar_one()
    assert kept == 0


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/x", "https://10.0.0.1/x", "https://localhost/x", "https://a.b/ x"]
)
def test_an_address_that_leads_inside_is_refused(api: Api, url: str) -> None:
    """422 with why, and nothing is written."""
    before = len(api.get(ALL_ENDPOINTS).body["items"])

    answer = api.post(ALL_ENDPOINTS, {"url": url})

    assert (answer.status, answer.code) == (422, "webhook.bad_url")
    assert len(api.get(ALL_ENDPOINTS).body["items"]) == before


def test_dead_letters_are_listed_and_delivered_again(api: Api, receiver: Receiver) -> None:
    """A delivery that nobody took stands among the dead until an operator has it sent anew."""
    made = api.post(ALL_ENDPOINTS, {"url": receiver.url, "kinds": ["slot.*"]}).body
    with transaction(api.engine, TENANT) as connection:
        say(connection, "slot.funded")
    receiver.answers = [500] * 10
    for _ in range(10):
        _send(api.engine)
        with transaction(api.engine, TENANT) as connection:
            connection.exec_driver_sql(
                "UPDATE webhook_delivery SET next_at = clock_timestamp() WHERE state = 'waiting'"
            )
    (dead,) = api.get("/v1/webhook_deliveries", state="dead", endpoint_id=made["id"]).body["items"]

    again = api.post("/v1/webhook_deliveries/redeliver", {"delivery_no": dead["delivery_no"]})
    _send(api.engine)
    twice = api.post("/v1/webhook_deliveries/redeliver", {"delivery_no": dead["delivery_no"]})

    assert (dead["tries"], dead["status"], dead["trouble"]) == (10, 500, "status 500")
    assert (again.status, again.body["state"]) == (200, "waiting")
    assert (twice.status, twice.code) == (409, "webhook.delivery_arrived")
    assert len(set(receiver.ids)) == 1


def test_a_replay_and_an_endpoint_that_is_off(api: Api, receiver: Receiver) -> None:
    """All from a number on comes once more; a disabled endpoint takes no test, an enabled does."""
    made = api.post(ALL_ENDPOINTS, {"url": receiver.url, "kinds": ["slot.*"]}).body
    one = f"{ALL_ENDPOINTS}/{made['id']}"
    with transaction(api.engine, TENANT) as connection:
        say(connection, "slot.funded", "slot.released")
    _send(api.engine)
    first = min(int(each.rpartition("_")[2]) for each in receiver.ids)

    replayed = api.post(f"{one}/replay", {"from_journal_no": str(first)})
    _send(api.engine)
    off = api.post(f"{one}/disable", {"reason": "moving house"})
    refused = api.post(f"{one}/test")
    on = api.post(f"{one}/enable")
    unknown = api.post(f"{ALL_ENDPOINTS}/{new_id()}/enable")

    assert replayed.body["from_journal_no"] == str(first)
    assert len(receiver.ids) == 2 * len(set(receiver.ids)) == 4
    assert (off.body["state"], refused.code, on.body["state"]) == (
        "disabled",
        "webhook.endpoint_disabled",
        "active",
    )
    assert (unknown.status, unknown.code) == (404, "webhook.unknown_endpoint")


def test_only_operators_of_the_platform_decide_where_events_go(api: Api) -> None:
    """A party, and a program's key that is no operator, are refused."""
    party = api.as_party(api.post("/v1/parties", {"kind": "client"}).body["id"])
    program = api.with_key(make_key(api.engine, scopes=ALL))
    body = {"url": "https://hooks.example.com/x"}

    for caller in (party, program):
        assert caller.post(ALL_ENDPOINTS, body).code == "webhook.operator_only"
    for path in (ALL_ENDPOINTS, "/v1/webhook_deliveries"):
        assert party.get(path).status == 403
