"""Webhooks that we send: signed, at least once by the same id, tried for days, never inside."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson
import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from engine.api import views
from engine.sealer import seal_all
from engine.webhooks import service, store
from engine.webhooks.addresses import Place
from engine.webhooks.model import (
    DISABLED_AFTER,
    WAITS,
    Answer,
    Delivery,
    DeliveryState,
    Endpoint,
    EndpointState,
    wait_after,
)
from engine.webhooks.sender import LOOPBACK, WebhookLoop, list_parcels
from engine.webhooks.service import (
    ChangeEndpoint,
    CreateEndpoint,
    PingEndpoint,
    Redeliver,
    Replay,
    RotateSecret,
)
from engine.webhooks.wire import Parcel, Wire, signed
from kernel import clock
from kernel.commands import Command
from kernel.database import Tenant, transaction
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from tests.engine.webhooks.receiver import Receiver, receiving, say
from tests.rails.builders import NOON

OPERATOR = Actor(UUID(int=9), PrincipalKind.PERSON, is_operator=True)


@dataclass
class Post:
    """A sandbox whose people asked for receivers on this machine, and one of them."""

    engine: Engine
    tenant: Tenant
    receiver: Receiver
    loop: WebhookLoop

    def make(self, *kinds: str, url: str | None = None) -> tuple[Endpoint, str]:
        """An endpoint and its secret."""
        with transaction(self.engine, self.tenant) as connection:
            command = CreateEndpoint(
                actor=OPERATOR,
                endpoint_id=new_id(),
                url=url or self.receiver.url,
                kinds=kinds,
                allows_loopback=True,
            )
            return service.create(connection, command, at=NOON)

    def say(self, *kinds: str) -> None:
        """Events of these kinds, sealed."""
        with transaction(self.engine, self.tenant) as connection:
            say(connection, *kinds)
        seal_all(self.engine, self.tenant)

    def send(self) -> None:
        """Send all that is due by now."""
        while self.loop.look_at(self.tenant):
            pass

    def hurry(self) -> None:
        """Let the time of whatever waits have come."""
        with transaction(self.engine, self.tenant) as connection:
            connection.exec_driver_sql(
                "UPDATE webhook_delivery SET next_at = clock_timestamp() WHERE state = 'waiting'"
            )

    def do(self, run: Any, *commands: Command) -> None:
        """Run commands of an operator."""
        with transaction(self.engine, self.tenant) as connection:
            outcomes = run(connection, commands, at=NOON)
            assert all(outcome.is_done for outcome in outcomes), outcomes

    def deliveries(self) -> list[Delivery]:
        with transaction(self.engine, self.tenant) as connection:
            return store.list_deliveries(connection, limit=1_000)

    def endpoint(self, endpoint: Endpoint) -> Endpoint:
        with transaction(self.engine, self.tenant) as connection:
            return store.find_endpoints(connection, [endpoint.id])[endpoint.id]


@pytest.fixture
def desk(own_engine: Engine, tenant: Tenant) -> Iterator[Post]:
    """A post office with one receiver."""
    with transaction(own_engine, tenant) as connection:
        clock.make_sandbox(connection, at=NOON)
    with receiving() as receiver:
        loop = WebhookLoop(
            own_engine, lambda: [tenant], Wire(views.event), environment={LOOPBACK: "1"}
        )
        yield Post(own_engine, tenant, receiver, loop)


def _kinds(receiver: Receiver) -> list[str]:
    return sorted(orjson.loads(body)["type"] for _, body in receiver.came)


def test_a_sealed_event_arrives_signed_and_whole(desk: Post) -> None:
    """Its message verifies by Standard Webhooks, and has the event as the API shows it."""
    _, secret = desk.make("slot.*")
    desk.say("slot.released")

    desk.send()

    ((headers, body),) = desk.receiver.came
    told = Webhook(secret).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body.replace(b"slot", b"slut"), headers)
    assert told["type"] == "slot.released"
    assert told["data"]["journal_no"] == headers["webhook-id"].rpartition("_")[2]
    assert {each.state for each in desk.deliveries()} == {DeliveryState.DELIVERED}


@pytest.mark.parametrize(
    ("secret", "message_id", "timestamp", "body", "signature"),
    [
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            '{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ],
)
def test_the_vector_of_the_specification(
    secret: str, message_id: str, timestamp: int, body: str, signature: str
) -> None:
    """The signature that Standard Webhooks itself gives as its example."""
    at = datetime.fromtimestamp(timestamp, UTC)
    parcel = replace(_parcel("https://hooks.example.com"), secrets=[secret])

    ours = signed(parcel, body.encode(), at=at)

    assert Webhook(secret).sign(message_id, at, body) == signature
    assert ours["webhook-signature"] == Webhook(secret).sign(ours["webhook-id"], at, body)
    assert ours["webhook-timestamp"] == str(timestamp)


def test_only_kinds_that_are_wanted_are_told(desk: Post) -> None:
    """A kind by its name, a room by its star; what was sealed before is not sent."""
    desk.say("slot.released")
    desk.make("payout.paid", "slot.*")

    desk.say("slot.funded", "payout.paid", "payout.requested", "contract.accepted")
    desk.send()

    assert _kinds(desk.receiver) == ["payout.paid", "slot.funded"]


def test_a_sender_killed_between_sending_and_commit_sends_again_by_the_same_id(
    desk: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once: the receiver sees one `webhook-id` twice, and can tell."""

    class Killed(BaseException):
        pass

    def die(*_args: object) -> None:
        raise Killed

    desk.make("slot.*")
    desk.say("slot.funded")
    with monkeypatch.context() as patched:
        patched.setattr("engine.webhooks.sender.save_answer", die)
        with pytest.raises(Killed):
            desk.send()

    desk.send()

    assert len(desk.receiver.ids) == 2
    assert len(set(desk.receiver.ids)) == 1


def test_two_senders_beside_one_another_send_once(desk: Post) -> None:
    """Only one of them has the tenant at a time."""
    desk.make("slot.*")
    desk.say(*["slot.funded"] * 5)
    stop = threading.Event()

    threads = [threading.Thread(target=desk.loop.run_once, args=(stop,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    desk.send()

    assert len(desk.receiver.ids) == len(set(desk.receiver.ids)) == 5


def test_what_fails_is_tried_again_and_then_dead_until_it_is_redelivered(desk: Post) -> None:
    """Ten tries over three days, then a dead letter; an operator's redelivery starts anew."""
    desk.make("slot.*")
    desk.say("slot.funded")
    desk.receiver.answers = [500] * 10
    for _ in range(10):
        desk.send()
        desk.hurry()
    (dead,) = desk.deliveries()

    desk.send()
    desk.do(service.redeliver, Redeliver(actor=OPERATOR, delivery_no=dead.delivery_no))
    desk.send()

    assert (dead.state, dead.tries, dead.status) == (DeliveryState.DEAD, 10, 500)
    assert desk.deliveries()[0].state is DeliveryState.DELIVERED
    assert len(set(desk.receiver.ids)) == 1
    assert len(desk.receiver.ids) == 11


def test_the_waits_grow_to_three_days_and_more_by_chance() -> None:
    """Standard Webhooks' schedule, each wait longer by a fifth at most; then it is over."""
    shortest = [wait_after(tries, chance=0, retry_after=None) for tries in range(1, 11)]
    longest = [wait_after(tries, chance=1, retry_after=None) for tries in range(1, 11)]

    assert shortest == [*WAITS, None]
    assert timedelta(days=3) <= sum(WAITS, timedelta()) <= timedelta(days=3, hours=3)
    assert all(
        b is None or a is None or a < b <= a * 1.2 for a, b in zip(shortest, longest, strict=True)
    )
    assert wait_after(1, chance=0, retry_after=timedelta(hours=1)) == timedelta(hours=1)
    assert wait_after(1, chance=0, retry_after=timedelta(days=30)) == max(WAITS)


def test_an_endpoint_that_fails_for_days_is_disabled_with_an_event(desk: Post) -> None:
    """Nothing taken for five days: disabled; enabled again, what waited is sent."""
    endpoint, _ = desk.make("slot.*")
    desk.say("slot.funded")
    desk.receiver.answers = [500, 500]
    desk.send()
    with transaction(desk.engine, desk.tenant) as connection:
        connection.exec_driver_sql(
            "UPDATE webhook_endpoint SET failing_since = clock_timestamp() - %s",
            (DISABLED_AFTER,),
        )
    desk.hurry()
    desk.send()
    off = desk.endpoint(endpoint)
    desk.hurry()
    desk.send()
    sent = len(desk.receiver.ids)

    desk.do(service.change, ChangeEndpoint(actor=OPERATOR, endpoint_id=endpoint.id, enabled=True))
    desk.send()

    assert (off.state, off.reason) == (EndpointState.DISABLED, "took nothing for 5 days")
    assert (sent, len(desk.receiver.ids)) == (2, 3)
    assert _events(desk, "webhook_endpoint.disabled") == 1


def test_an_endpoint_that_says_it_is_gone_is_disabled(desk: Post) -> None:
    """410: the receiver wants nothing any more."""
    endpoint, _ = desk.make("slot.*")
    desk.say("slot.funded")
    desk.receiver.answers = [410]

    desk.send()

    assert desk.endpoint(endpoint).reason == "gone (410)"


def test_both_secrets_sign_while_one_is_rotated(desk: Post) -> None:
    """The old secret and the new one verify during the overlap, and the old one not after it."""
    endpoint, old = desk.make("slot.*")
    with transaction(desk.engine, desk.tenant) as connection:
        command = RotateSecret(actor=OPERATOR, endpoint_id=endpoint.id, overlap=timedelta(hours=1))
        _, new = service.rotate(connection, command, at=NOON)
    desk.say("slot.funded")
    desk.send()
    with transaction(desk.engine, desk.tenant) as connection:
        connection.exec_driver_sql(
            "UPDATE webhook_secret SET ends_at = clock_timestamp() WHERE ends_at IS NOT NULL"
        )
    desk.say("slot.released")
    desk.send()

    (during, first), (after, second) = desk.receiver.came
    assert Webhook(old).verify(first, during) == Webhook(new).verify(first, during)
    assert Webhook(new).verify(second, after)["type"] == "slot.released"
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(second, after)


def test_a_secret_at_rest_opens_nothing(desk: Post) -> None:
    """What stands in the table of secrets is sealed, and bound to its row."""
    _, secret = desk.make()

    with transaction(desk.engine, desk.tenant) as connection:
        (sealed,) = connection.exec_driver_sql("SELECT sealed FROM webhook_secret").scalars()
        detail = connection.exec_driver_sql(
            "SELECT string_agg(detail::text, ' ') FROM event"
        ).scalar_one()

    assert secret.encode() not in bytes(sealed)
    assert secret not in detail
    assert "token" not in detail


def test_a_replay_sends_all_from_a_number_on_by_their_old_ids(desk: Post) -> None:
    """Three events arrive; from the second on they come once more, each by the id it had."""
    endpoint, _ = desk.make("slot.*")
    desk.say("slot.funded", "slot.submitted", "slot.released")
    desk.send()
    first = sorted(desk.receiver.ids, key=_number)

    desk.do(
        service.replay,
        Replay(actor=OPERATOR, endpoint_id=endpoint.id, from_journal_no=_number(first[1])),
    )
    desk.send()

    assert sorted(desk.receiver.ids[3:], key=_number) == first[1:]


def test_a_test_message_tells_of_no_event(desk: Post) -> None:
    """Signed like any other, of the kind `webhook.test`."""
    endpoint, secret = desk.make("slot.*")

    desk.do(service.ping, PingEndpoint(actor=OPERATOR, endpoint_id=endpoint.id))
    desk.send()

    ((headers, body),) = desk.receiver.came
    assert Webhook(secret).verify(body, headers)["type"] == "webhook.test"


def test_a_redirect_is_not_followed_and_an_endless_answer_not_read(desk: Post) -> None:
    """A 302 to somewhere inside is a failure; of a large answer 64 KiB are read, and none kept."""
    desk.make("slot.*")
    desk.say("slot.funded")
    desk.receiver.answers, desk.receiver.headers = [302], {"Location": desk.receiver.url}
    desk.send()
    redirected = len(desk.receiver.ids)
    desk.receiver.headers, desk.receiver.body = {}, b"x" * 5_000_000
    desk.receiver.answers = [200]
    desk.hurry()
    desk.send()

    (delivery,) = desk.deliveries()
    assert (redirected, delivery.state, delivery.status) == (1, DeliveryState.DELIVERED, 200)
    assert "xx" not in delivery.trouble


def test_a_live_tenant_never_sends_to_this_machine(own_engine: Engine, tenant: Tenant) -> None:
    """The setting is a sandbox's alone: elsewhere nothing leaves, and the try says why."""
    with receiving() as receiver:
        loop = WebhookLoop(
            own_engine, lambda: [tenant], Wire(views.event), environment={LOOPBACK: "1"}
        )
        desk = Post(own_engine, tenant, receiver, loop)
        desk.make("slot.*")
        desk.say("slot.funded")
        desk.send()

        (delivery,) = desk.deliveries()
        assert (receiver.ids, delivery.tries, delivery.trouble) == ([], 1, "not sent: scheme")


def test_a_name_that_leads_inside_by_then_is_not_connected_to() -> None:
    """Names are resolved at each try: one that points inside since is sent nothing."""

    async def inside(_host: str, _port: int) -> list[str]:
        return ["93.184.215.14", "169.254.169.254"]

    answer = asyncio.run(
        Wire(views.event, resolve=inside).send(_parcel("https://hooks.example.com/x"))
    )

    assert answer == Answer(None, "not sent: address")


@pytest.mark.parametrize(
    ("name", "status"), [("hooks.example.com", 204), ("other.example.com", None)]
)
def test_the_certificate_is_checked_by_name_though_the_address_is_pinned(
    tmp_path: Path, name: str, status: int | None
) -> None:
    """SNI and Host say the name, the connection goes to the address; another's paper is refused."""
    server, trust = _paper(tmp_path, name)
    asked: list[str | None] = []
    server.sni_callback = lambda _socket, asked_for, _context: asked.append(asked_for)
    parcel = _parcel("https://hooks.example.com/x")

    with receiving(server) as receiver:
        wire = Wire(views.event, trust=trust)
        place = Place("https", "hooks.example.com", receiver.port, "/x")
        answer = asyncio.run(_try(wire, parcel, place))
        came = [headers["host"] for headers, _ in receiver.came]

    assert (answer.status, asked) == (status, ["hooks.example.com"])
    assert came == ([f"hooks.example.com:{place.port}"] if status else [])


def test_only_operators_change_where_events_go(connection: Connection) -> None:
    """A program's key that is no operator is refused, and nothing is written."""
    nobody = Actor(UUID(int=3), PrincipalKind.KEY)
    command = CreateEndpoint(actor=nobody, endpoint_id=new_id(), url="https://hooks.example.com/x")

    with pytest.raises(service.OperatorOnly):
        service.create(connection, command, at=NOON)
    (outcome,) = service.replay(
        connection, [Replay(actor=nobody, endpoint_id=new_id(), from_journal_no=1)], at=NOON
    )

    assert outcome.code == "webhook.operator_only"
    assert store.list_endpoints(connection, after=None, limit=5) == []


def test_what_arrived_stays_so(owner_connection: Connection) -> None:
    """Not even the owner takes back that a message was delivered, or makes it another's."""
    command = CreateEndpoint(
        actor=OPERATOR, endpoint_id=new_id(), url="https://hooks.example.com/x"
    )
    endpoint, _ = service.create(owner_connection, command, at=NOON)
    (number,) = store.add_deliveries(owner_connection, endpoint, [None])
    assert list_parcels(owner_connection)[0].delivery.delivery_no == number
    store.save_try(
        owner_connection, number, DeliveryState.DELIVERED, status=200, trouble="", wait=None
    )

    with pytest.raises(DBAPIError) as refused, owner_connection.begin_nested():
        owner_connection.exec_driver_sql("UPDATE webhook_delivery SET status = 500")

    assert isinstance(refused.value.orig, psycopg.Error)
    assert refused.value.orig.diag.constraint_name == "webhook_delivery_ends_once"


def _number(message_id: str) -> int:
    return int(message_id.rpartition("_")[2])


def _events(desk: Post, kind: str) -> int:
    with transaction(desk.engine, desk.tenant) as connection:
        found = connection.exec_driver_sql("SELECT count(*) FROM event WHERE kind = %s", (kind,))
        return int(found.scalar_one())


def _parcel(url: str) -> Parcel:
    endpoint = Endpoint(
        id=UUID(int=1),
        url=url,
        kinds=(),
        label="",
        state=EndpointState.ACTIVE,
        reason="",
        planned_to=0,
        round_no=0,
        made_at=NOON,
    )
    delivery = Delivery(
        delivery_no=1,
        endpoint_id=endpoint.id,
        journal_no=None,
        round_no=0,
        state=DeliveryState.WAITING,
        tries=0,
        made_at=NOON,
    )
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    return Parcel(delivery=delivery, endpoint=endpoint, secrets=[secret], event=None)


async def _try(wire: Wire, parcel: Parcel, place: Place) -> Answer:
    """One try to this machine's address under another's name; trouble is an answer without one."""
    try:
        return await wire._post(parcel, place, "127.0.0.1")
    except (OSError, httpx.HTTPError) as trouble:
        return Answer(None, type(trouble).__name__)


def _paper(where: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's side with a certificate of this name, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    paper = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = where / "paper.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + paper.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(
        cadata=paper.public_bytes(serialization.Encoding.PEM).decode()
    )
