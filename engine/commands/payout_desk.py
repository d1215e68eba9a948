"""`holdfast payouts methods|policy|accounts`: what is asked for before money leaves."""

from pathlib import Path
from uuid import UUID

import click

from engine.api.calls import Given
from engine.api.writes_payouts import (
    LimitPolicyBody,
    MethodPolicyBody,
    limit_policy,
    method_policy,
)
from engine.commands.acting import act, body_of, key_option, tell
from engine.commands.frame import (
    database,
    in_words,
    json_option,
    print_json,
    print_table,
    tenant_of,
    tenant_option,
)
from kernel import clock
from kernel.database import snapshot
from payouts import methods as service_methods
from payouts import service_policy, store, store_payees, store_policy
from payouts.commands import ApprovePolicy, VerifyMethod
from payouts.model_payees import as_json as account_as_json
from payouts.model_policy import as_json as policy_as_json

_MOST = 500
_party = click.argument("party_id", type=click.UUID)


@click.group()
def methods() -> None:
    """Where a payee is paid to; no token is shown."""


@methods.command("list")
@_party
@tenant_option
@json_option
@in_words
def list_methods(*, party_id: UUID, tenant_name: str | None, as_json: bool) -> None:
    """A payee's methods, oldest first."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = store.list_methods(connection, [party_id])
    shown = [
        {
            "id": str(each.id),
            "rail": each.rail,
            "state": each.state.value,
            "usable_from": each.usable_from.isoformat(),
        }
        for each in found
    ]
    if as_json:
        print_json({"methods": shown})
    else:
        print_table(("id", "rail", "state", "usable_from"), [list(row.values()) for row in shown])


@methods.command()
@click.argument("method_id", type=click.UUID)
@click.option("--reason", default="", help="How it was checked.")
@key_option
@tenant_option
@json_option
@in_words
def verify(
    *, method_id: UUID, reason: str, secret: str | None, tenant_name: str | None, as_json: bool
) -> None:
    """Say that a method was checked to be its payee's."""
    outcome = act(
        lambda actor: VerifyMethod(actor=actor, method_id=method_id, reason=reason),
        service_methods.verify_methods,
        tenant_name=tenant_name,
        secret=secret,
    )
    tell(outcome, f"Method {method_id} is verified.", as_json=as_json)


@click.group()
def policy() -> None:
    """Cooling times and limits: prepared by one person, approved by another."""


@policy.command("show")
@tenant_option
@json_option
@in_words
def show_policy(*, tenant_name: str | None, as_json: bool) -> None:
    """What counts now, and every version, the newest first."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            now = store_policy.find_in_force(connection, clock.now(connection))
            found = store_policy.list_policies(connection, limit=_MOST)
    shown = [policy_as_json(each) for each in found]
    if as_json:
        counts = {"cooling_days": now.cooling_days, "needs_verifying": now.needs_verifying}
        print_json({**counts, "items": shown})
        return
    verified = "is verified and" if now.needs_verifying else "need not be verified and"
    click.echo(f"A new method {verified} waits {now.cooling_days} days.")
    columns = ("id", "currency", "valid_from", "prepared_by", "approved_by")
    print_table(columns, [[str(each[name] or "") for name in columns] for each in shown])


@policy.command("prepare")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--methods", "of_methods", is_flag=True, help="On methods; else limits.")
@key_option
@tenant_option
@json_option
@in_words
def prepare_policy(
    *, file: Path, of_methods: bool, secret: str | None, tenant_name: str | None, as_json: bool
) -> None:
    """Prepare what a JSON file says, which is as the body of the call of the API."""
    if of_methods:
        on_methods = body_of(file, MethodPolicyBody, what="policy on methods")
        outcome = act(
            lambda actor: method_policy(Given(actor, on_methods, {})),
            service_policy.prepare_policy,
            tenant_name=tenant_name,
            secret=secret,
        )
    else:
        limits = body_of(file, LimitPolicyBody, what="policy of a currency")
        outcome = act(
            lambda actor: limit_policy(Given(actor, limits, {})),
            service_policy.prepare_policy,
            tenant_name=tenant_name,
            secret=secret,
        )
    done = f"Prepared: another person approves {outcome.facts.get('id')}."
    tell(outcome, done, as_json=as_json)


@policy.command("approve")
@click.argument("policy_id", type=click.UUID)
@key_option
@tenant_option
@json_option
@in_words
def approve_policy(
    *, policy_id: UUID, secret: str | None, tenant_name: str | None, as_json: bool
) -> None:
    """Let what another person prepared count."""
    outcome = act(
        lambda actor: ApprovePolicy(actor=actor, policy_id=policy_id),
        service_policy.approve_policy,
        tenant_name=tenant_name,
        secret=secret,
    )
    tell(outcome, f"Policy {policy_id} counts.", as_json=as_json)


@click.command()
@_party
@tenant_option
@json_option
@in_words
def accounts(*, party_id: UUID, tenant_name: str | None, as_json: bool) -> None:
    """A payee's accounts at rails, and what rails still ask of him."""
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            found = store_payees.list_of_parties(connection, [party_id])
    shown = [account_as_json(each) for each in found]
    if as_json:
        print_json({"accounts": shown})
        return
    columns = ("id", "rail", "account", "state", "may_receive", "may_be_paid_out", "deadline")
    print_table(columns, [[str(each[name] or "") for name in columns] for each in shown])
