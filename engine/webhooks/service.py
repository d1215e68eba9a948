"""Endpoints of receivers: made with a secret of their own, changed, replayed; each act an event.

A secret is shown to whoever made it and never again; at rest it is sealed with its endpoint's key.
"""

import base64
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from engine.webhooks import store
from engine.webhooks.addresses import read_url
from engine.webhooks.model import OVERLAP, Endpoint, EndpointState
from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.principals import SYSTEM, Actor
from ledger.model import Draft
from ledger.model_personal import KEY_BYTES, PersonalKey
from ledger.service import post

PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32

_C = TypeVar("_C", bound=Command)


class OperatorOnly(Refusal):
    """Only an operator changes where our events go."""

    code = "webhook.operator_only"


class UnknownEndpoint(Refusal):
    """There is no such endpoint."""

    code = "webhook.unknown_endpoint"


class EndpointDisabled(Refusal):
    """The endpoint is disabled: nothing is sent to it."""

    code = "webhook.endpoint_disabled"


class DeliveryArrived(Refusal):
    """There is no such delivery, or it has arrived."""

    code = "webhook.delivery_arrived"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateEndpoint(Command):
    """A new receiver. `allows_loopback`: only ever in a sandbox."""

    endpoint_id: UUID
    url: str
    kinds: tuple[str, ...] = ()
    label: str = ""
    allows_loopback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateSecret(Command):
    """A second secret; the one before signs beside it for `overlap`."""

    endpoint_id: UUID
    overlap: timedelta = OVERLAP


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeEndpoint(Command):
    """Disable an endpoint for a reason, or enable it again."""

    endpoint_id: UUID
    enabled: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PingEndpoint(Command):
    """Send a message that tells of no event."""

    endpoint_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay(Command):
    """Send all from an event of the journal on once more."""

    endpoint_id: UUID
    from_journal_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeliver(Command):
    """Have a delivery tried anew that is dead, or waits."""

    delivery_no: int


def create(
    connection: Connection, command: CreateEndpoint, *, at: datetime
) -> tuple[Endpoint, str]:
    """Make an endpoint that hears of what is sealed from now on; its secret, shown this once.

    Refuses with `webhook.operator_only`, `webhook.bad_url`.
    """
    _check_operator(command.actor)
    read_url(command.url, allows_loopback=command.allows_loopback)
    endpoint = Endpoint(
        id=command.endpoint_id,
        url=command.url,
        kinds=command.kinds,
        label=command.label,
        state=EndpointState.ACTIVE,
        reason="",
        planned_to=store.newest_journal_no(connection),
        round_no=0,
        made_at=at,
    )
    key = PersonalKey(new_id(), endpoint.id, secrets.token_bytes(KEY_BYTES), at)
    store.add_endpoint(connection, endpoint, key_id=key.id, key=key.secret, at=at)
    secret = _add_secret(connection, key, overlap=timedelta(), at=at)
    _tell(connection, "created", endpoint, command.actor, at)
    return endpoint, secret


def rotate(connection: Connection, command: RotateSecret, *, at: datetime) -> tuple[Endpoint, str]:
    """A second secret of an endpoint, shown this once.

    Refuses with `webhook.operator_only`, `webhook.unknown_endpoint`.
    """
    _check_operator(command.actor)
    endpoint = _lock(connection, command.endpoint_id)
    sealed = store.list_sealed(connection, [endpoint.id])[0]
    key = PersonalKey(sealed.key_id, endpoint.id, sealed.key, sealed.made_at)
    secret = _add_secret(connection, key, overlap=command.overlap, at=at)
    _tell(connection, "secret_rotated", endpoint, command.actor, at)
    return endpoint, secret


def change(
    connection: Connection, commands: Sequence[ChangeEndpoint], *, at: datetime
) -> list[Outcome]:
    """Disable or enable endpoints; what waited while one was disabled is sent then.

    Refuses with `webhook.operator_only`, `webhook.unknown_endpoint`.
    """

    def one(command: ChangeEndpoint) -> Outcome:
        endpoint = _lock(connection, command.endpoint_id)
        if command.enabled:
            changed = replace(
                endpoint,
                state=EndpointState.ACTIVE,
                reason="",
                failing_since=None,
                disabled_at=None,
            )
        else:
            changed = _disabled(endpoint, command.reason or "by an operator", at)
        store.save_endpoint(connection, changed)
        word = "enabled" if command.enabled else "disabled"
        _tell(connection, word, changed, command.actor, at)
        return done(id=str(changed.id), state=changed.state.value)

    return _each(commands, one)


def disable_failing(
    connection: Connection, endpoint_id: UUID, *, reason: str, at: datetime
) -> None:
    """Disable an endpoint that takes nothing, with an event that says so."""
    endpoint = _lock(connection, endpoint_id)
    if endpoint.state is EndpointState.ACTIVE:
        changed = _disabled(endpoint, reason, at)
        store.save_endpoint(connection, changed)
        _tell(connection, "disabled", changed, SYSTEM, at)


def ping(
    connection: Connection, commands: Sequence[PingEndpoint], *, at: datetime
) -> list[Outcome]:
    """Have a test sent to endpoints. Refuses as `change`, and `webhook.endpoint_disabled`."""
    del at

    def one(command: PingEndpoint) -> Outcome:
        endpoint = _lock(connection, command.endpoint_id)
        if endpoint.state is EndpointState.DISABLED:
            raise EndpointDisabled(endpoint_id=str(endpoint.id))
        (delivery_no,) = store.add_deliveries(connection, endpoint, [None])
        return done(id=str(endpoint.id), delivery_no=str(delivery_no))

    return _each(commands, one)


def replay(connection: Connection, commands: Sequence[Replay], *, at: datetime) -> list[Outcome]:
    """Send all events from a number on once more, each by the `webhook-id` that it had.

    Refuses as `change`.
    """

    def one(command: Replay) -> Outcome:
        endpoint = _lock(connection, command.endpoint_id)
        newest = store.newest_journal_no(connection)
        changed = replace(
            endpoint,
            planned_to=min(newest, max(0, command.from_journal_no - 1)),
            round_no=endpoint.round_no + 1,
        )
        store.save_endpoint(connection, changed)
        _tell(connection, "replayed", changed, command.actor, at)
        return done(
            id=str(changed.id),
            from_journal_no=str(changed.planned_to + 1),
            events=str(newest - changed.planned_to),
        )

    return _each(commands, one)


def redeliver(
    connection: Connection, commands: Sequence[Redeliver], *, at: datetime
) -> list[Outcome]:
    """Have deliveries tried anew. Refuses `webhook.operator_only`, `webhook.delivery_arrived`."""
    del at

    def one(command: Redeliver) -> Outcome:
        if not store.redeliver(connection, command.delivery_no):
            raise DeliveryArrived(delivery_no=command.delivery_no)
        return done(delivery_no=str(command.delivery_no), state="waiting")

    return _each(commands, one)


def secrets_of(connection: Connection, ids: Collection[UUID]) -> dict[UUID, list[str]]:
    """The secrets that sign by now, the newest of each endpoint first."""
    found: dict[UUID, list[str]] = {}
    for sealed in store.list_sealed(connection, ids):
        key = PersonalKey(sealed.key_id, sealed.endpoint_id, sealed.key, sealed.made_at)
        bound_to = _bound_to(sealed.endpoint_id, sealed.secret_no)
        found.setdefault(sealed.endpoint_id, []).append(key.open(sealed.sealed, bound_to=bound_to))
    return found


def _each(commands: Sequence[_C], one: Callable[[_C], Outcome]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            _check_operator(command.actor)
            outcomes.append(one(command))
        except Refusal as refusal:
            outcomes.append(refused(refusal))
    return outcomes


def _check_operator(actor: Actor) -> None:
    if not actor.is_operator:
        raise OperatorOnly


def _lock(connection: Connection, endpoint_id: UUID) -> Endpoint:
    found = store.lock_endpoints(connection, [endpoint_id])
    if endpoint_id not in found:
        raise UnknownEndpoint(endpoint_id=str(endpoint_id))
    return found[endpoint_id]


def _disabled(endpoint: Endpoint, reason: str, at: datetime) -> Endpoint:
    return replace(endpoint, state=EndpointState.DISABLED, reason=reason, disabled_at=at)


def _add_secret(
    connection: Connection, key: PersonalKey, *, overlap: timedelta, at: datetime
) -> str:
    secret = PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    number = store.next_secret_no(connection, key.party_id)
    store.add_secret(
        connection,
        key.party_id,
        secret_no=number,
        sealed=key.seal(secret, bound_to=_bound_to(key.party_id, number)),
        overlap=overlap,
        at=at,
    )
    return secret


def _bound_to(endpoint_id: UUID, number: int) -> str:
    return f"webhook_secret:{endpoint_id}:{number}"


def _tell(
    connection: Connection, word: str, endpoint: Endpoint, actor: Actor, at: datetime
) -> None:
    """The act as an event; an address may carry a token, so that only its host is told."""
    place = read_url(endpoint.url, allows_loopback=True)
    detail = {"host": place.host, "state": endpoint.state.value}
    draft = Draft(
        f"webhook_endpoint.{word}",
        f"webhook_endpoint:{endpoint.id}",
        actor,
        at,
        reason=endpoint.reason,
        detail=detail,
    )
    post(connection, [draft])
