"""`holdfast keys`: make, rotate, revoke and list a tenant's API keys."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import click

from engine.api.access import Scope
from engine.commands.frame import (
    database,
    in_words,
    json_option,
    print_json,
    print_table,
    tenant_of,
    tenant_option,
)
from kernel import keys
from kernel.keys import ApiKey, NewKey
from kernel.principals import PrincipalKind


@click.group()
def command() -> None:
    """Make, rotate, revoke and list API keys."""


@command.command()
@tenant_option
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it is good for; may be given several times. All, if left out.",
)
@click.option("--party", "party_id", type=click.UUID, help="The one party that it speaks for.")
@click.option("--operator", "is_operator", is_flag=True, help="It may act as an operator.")
@click.option("--person", is_flag=True, help="It stands for a person, who may approve.")
@click.option("--label", default="", help="What it is for, in a few words.")
@click.option("--days", type=click.IntRange(min=1), help="It expires after so many days.")
@json_option
@in_words
def create(
    tenant_name: str | None,
    scopes: tuple[str, ...],
    party_id: UUID | None,
    label: str,
    days: int | None,
    *,
    is_operator: bool,
    person: bool,
    as_json: bool,
) -> None:
    """Make a key; its secret is shown this once."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with opened.engine.begin() as connection:
            new = keys.create(
                connection,
                tenant,
                scopes=scopes or [scope.value for scope in Scope],
                kind=PrincipalKind.PERSON if person else PrincipalKind.KEY,
                party_id=party_id,
                is_operator=is_operator,
                label=label,
                expires_at=datetime.now(UTC) + timedelta(days=days) if days else None,
            )
    _tell_new(new, as_json=as_json)


@command.command()
@click.argument("key_id")
@tenant_option
@click.option(
    "--grace-hours", type=click.IntRange(min=0), default=24, help="How long the old one lives on."
)
@json_option
@in_words
def rotate(key_id: str, tenant_name: str | None, grace_hours: int, *, as_json: bool) -> None:
    """Give the same principal a second key; the old one ends after its grace."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        ends_at = datetime.now(UTC) + timedelta(hours=grace_hours)
        with opened.engine.begin() as connection:
            new = keys.rotate(connection, tenant, key_id, old_ends_at=ends_at)
    _tell_new(new, as_json=as_json)


@command.command()
@click.argument("key_id")
@tenant_option
@json_option
@in_words
def revoke(key_id: str, tenant_name: str | None, *, as_json: bool) -> None:
    """End a key now; it is felt within seconds."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with opened.engine.begin() as connection:
            key = keys.revoke(connection, tenant, key_id)
    if as_json:
        print_json(_as_json(key))
    else:
        click.echo(f"Key {key.id} is revoked.")


@command.command(name="list")
@tenant_option
@json_option
@in_words
def list_(tenant_name: str | None, *, as_json: bool) -> None:
    """The tenant's keys, oldest first; never their secrets."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with opened.engine.begin() as connection:
            found = keys.list_keys(connection, tenant, limit=1_000)
    if as_json:
        print_json([_as_json(key) for key in found])
        return
    if not found:
        click.echo(
            f"Tenant {tenant.name} has no key yet: holdfast keys create --tenant {tenant.name}",
            err=True,
        )
        return
    now = datetime.now(UTC)
    print_table(
        ("id", "begins", "label", "live", "good for"),
        [
            (
                key.id,
                key.prefix,
                key.label,
                "yes" if key.is_live(now) else "no",
                _scopes(key),
            )
            for key in found
        ],
    )


def _tell_new(new: NewKey, *, as_json: bool) -> None:
    if as_json:
        print_json({**_as_json(new.key), "secret": new.secret})
        return
    click.echo(f"Key {new.key.id} of tenant {new.key.tenant.name}; its secret, shown this once:")
    click.echo(new.secret)


def _scopes(key: ApiKey) -> str:
    return "all" if len(key.scopes) == len(Scope) else " ".join(sorted(key.scopes))


def _as_json(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "prefix": key.prefix,
        "tenant": key.tenant.name,
        "principal_id": str(key.principal_id),
        "kind": key.kind.value,
        "party_id": str(key.party_id) if key.party_id else None,
        "is_operator": key.is_operator,
        "scopes": sorted(key.scopes),
        "label": key.label,
        "created_at": key.created_at.isoformat(),
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
    }
