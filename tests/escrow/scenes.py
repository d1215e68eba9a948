"""Deals of every kind in every state, for what has to hold in all of them.

A scene builds one situation on a connection and answers when it is, and who stands in it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from escrow import service
from escrow.commands import FundingCommand, ProposeAmendment
from escrow.model import Method, ReleaseRule, Terms
from escrow.rules_funding import NEEDS_ACTION
from kernel.ids import new_id
from kernel.principals import SYSTEM, Actor, PrincipalKind
from ledger import periods
from rails.model import RailOutcome
from tests.escrow import stage_claims as owed
from tests.escrow.stage import Stage, person
from tests.escrow.stage_hourly import HourlyStage


@dataclass(frozen=True)
class Scene:
    """Who stands where, and when."""

    now: datetime
    actors: Mapping[str, Actor]


Build = Callable[[Connection], Scene]
SCENES: Final[dict[str, Build]] = {}


def scene(build: Build) -> Build:
    """Enter a scene into the list under its function's name."""
    SCENES[build.__name__.lstrip("_")] = build
    return build


def of(stage: Stage | HourlyStage, **more: Actor) -> Scene:
    """The people of a stage, a program of the platform, and a stranger."""
    people = {
        "client": stage.client,
        "payee": stage.payee,
        "operator": stage.operator,
        "key": Actor(new_id(), PrincipalKind.KEY, None, is_operator=True),
        "stranger": person(new_id()),
        "system": SYSTEM,
    }
    return Scene(stage.now, people | more)


@scene
def proposed(connection: Connection) -> Scene:
    stage = Stage(connection)
    assert stage.propose().is_done
    return of(stage)


@scene
def awaiting_funding(connection: Connection) -> Scene:
    stage = Stage(connection)
    stage.propose()
    assert stage.accept().is_done
    return of(stage)


@scene
def awaiting_funding_with_a_wallet(connection: Connection) -> Scene:
    stage = Stage(connection)
    stage.propose()
    stage.accept()
    stage.fill_wallet(50_000)
    return of(stage)


@scene
def awaiting_funding_of_an_unclear_client(connection: Connection) -> Scene:
    stage = Stage(connection)
    stage.propose()
    stage.accept()
    connection.exec_driver_sql(
        "UPDATE party SET kyc_state = 'pending' WHERE id = %s", (stage.client.party_id,)
    )
    return of(stage)


@scene
def funding(connection: Connection) -> Scene:
    stage = Stage(connection)
    stage.propose()
    stage.accept()
    assert stage.start_funding().is_done
    return of(stage)


@scene
def funding_lost_from_sight(connection: Connection) -> Scene:
    stage = Stage(connection)
    stage.propose()
    stage.accept()
    stage.start_funding()
    assert stage.hear(stage.result(RailOutcome.UNKNOWN)).is_done
    return of(stage)


@scene
def funding_pending(connection: Connection) -> Scene:
    stage = Stage(connection)
    stage.propose()
    stage.accept()
    stage.start_funding()
    assert stage.hear(stage.result(RailOutcome.PENDING)).is_done
    return of(stage)


@scene
def the_client_has_to_act(connection: Connection) -> Scene:
    stage = Stage(connection)
    stage.propose()
    stage.accept()
    stage.start_funding()
    heard = stage.hear(stage.result(RailOutcome.PENDING, code=NEEDS_ACTION))
    assert heard.facts["funding_state"] == "requires_action"
    return of(stage)


@scene
def funding_cancelled(connection: Connection) -> Scene:
    stage = Stage(connection)
    stage.propose()
    stage.accept()
    stage.start_funding()
    command = FundingCommand(actor=stage.client, funding_id=stage.funding_id)
    _done(stage, "cancel_funding", command)
    return of(stage)


@scene
def another_amount_came(connection: Connection) -> Scene:
    stage = Stage(connection)
    stage.propose()
    stage.accept()
    stage.start_funding()
    assert stage.hear(stage.result(amount_minor=5_000)).is_done
    return of(stage)


@scene
def funded(connection: Connection) -> Scene:
    return of(Stage(connection, amounts=(10_000, 5_000)).ready())


@scene
def funded_but_not_cleared(connection: Connection) -> Scene:
    stage = Stage(connection, method=Method.BANK_DEBIT)
    stage.propose()
    stage.accept()
    stage.start_funding()
    assert stage.hear(stage.result(cleared=False)).is_done
    return of(stage)


@scene
def a_debit_was_returned(connection: Connection) -> Scene:
    """The client's bank took a debit back: the slot awaits funding again."""
    stage = Stage(connection)
    assert stage.propose().is_done
    assert stage.accept().is_done
    assert stage.start_funding(Method.BANK_DEBIT).is_done
    assert stage.hear(stage.result(cleared=False)).is_done
    assert stage.hear(stage.result(RailOutcome.REFUSED)).is_done
    return of(stage)


@scene
def two_funded(connection: Connection) -> Scene:
    stage = Stage(connection, amounts=(10_000, 5_000)).ready()
    stage.slot_id = stage.slot_ids[1]
    assert stage.fund().is_done
    return of(stage)


@scene
def one_cent(connection: Connection) -> Scene:
    return of(Stage(connection, amounts=(1,)).submitted())


@scene
def submitted(connection: Connection) -> Scene:
    return of(Stage(connection).submitted())


@scene
def submitted_and_called_empty(connection: Connection) -> Scene:
    stage = Stage(connection).submitted()
    assert stage.on_slot("flag_empty", stage.client, reason="empty").is_done
    return of(stage)


@scene
def submitted_and_held(connection: Connection) -> Scene:
    stage = Stage(connection).submitted()
    stage.hold(f"slot:{stage.slot_id}")
    return of(stage)


@scene
def submitted_and_the_payee_held(connection: Connection) -> Scene:
    stage = Stage(connection).submitted()
    stage.hold(f"party:{stage.payee.party_id}")
    return of(stage)


@scene
def review_is_over_and_nobody_rang(connection: Connection) -> Scene:
    stage = Stage(connection).submitted()
    stage.now += timedelta(days=15)
    return of(stage)


@scene
def submitted_for_both(connection: Connection) -> Scene:
    return of(Stage(connection, terms=Terms(release_rule=ReleaseRule.BOTH_CONFIRM)).submitted())


@scene
def confirmed_by_the_payee(connection: Connection) -> Scene:
    stage = Stage(connection, terms=Terms(release_rule=ReleaseRule.BOTH_CONFIRM)).submitted()
    assert stage.on_slot("confirm", stage.payee).is_done
    return of(stage)


@scene
def submitted_for_the_client_alone(connection: Connection) -> Scene:
    return of(Stage(connection, terms=Terms(release_rule=ReleaseRule.CLIENT_ONLY)).submitted())


@scene
def changes_requested(connection: Connection) -> Scene:
    stage = Stage(connection).submitted()
    assert stage.on_slot("request_changes", stage.client, reason="again").is_done
    return of(stage)


@scene
def no_rounds_left(connection: Connection) -> Scene:
    stage = Stage(connection, terms=Terms(free_change_rounds=1)).submitted()
    assert stage.on_slot("request_changes", stage.client, reason="again").is_done
    assert stage.submit("message:2").is_done
    return of(stage)


@scene
def refund_requested(connection: Connection) -> Scene:
    stage = Stage(connection).ready()
    assert stage.on_slot("ask_refund", stage.client).is_done
    return of(stage)


@scene
def partly_released(connection: Connection) -> Scene:
    stage = Stage(connection, amounts=(10_000, 5_000)).submitted()
    assert stage.release_part(4_000).is_done
    return of(stage)


@scene
def released(connection: Connection) -> Scene:
    stage = Stage(connection).submitted()
    assert stage.approve().is_done
    return of(stage)


@scene
def available(connection: Connection) -> Scene:
    return of(owed.released(connection))


@scene
def refunded(connection: Connection) -> Scene:
    stage = Stage(connection).ready()
    assert stage.on_slot("give_back", stage.payee).is_done
    return of(stage)


@scene
def refund_submitted(connection: Connection) -> Scene:
    stage = Stage(connection).ready()
    back = stage.on_slot("give_back", stage.payee).facts["refund_ids"][0]
    assert stage.refund_result(back, RailOutcome.PENDING).is_done
    return of(stage)


@scene
def refund_lost_from_sight(connection: Connection) -> Scene:
    stage = Stage(connection).ready()
    back = stage.on_slot("give_back", stage.payee).facts["refund_ids"][0]
    assert stage.refund_result(back, RailOutcome.UNKNOWN).is_done
    return of(stage)


@scene
def refund_arrived(connection: Connection) -> Scene:
    stage = Stage(connection).ready()
    back = stage.on_slot("give_back", stage.payee).facts["refund_ids"][0]
    assert stage.refund_result(back, RailOutcome.DONE).is_done
    return of(stage)


@scene
def refund_bounced(connection: Connection) -> Scene:
    stage = Stage(connection).ready()
    back = stage.on_slot("give_back", stage.payee).facts["refund_ids"][0]
    assert stage.refund_result(back, RailOutcome.REFUSED).is_done
    return of(stage)


@scene
def cancelled(connection: Connection) -> Scene:
    stage = Stage(connection)
    stage.propose()
    stage.accept()
    assert stage.on_slot("cancel", stage.client).is_done
    return of(stage)


@scene
def dormant_without_work(connection: Connection) -> Scene:
    stage = Stage(connection, terms=Terms(dormant_limit_minor=0)).ready()
    stage.wait(days=91)
    return of(stage)


@scene
def dormant_with_work(connection: Connection) -> Scene:
    terms = Terms(release_rule=ReleaseRule.CLIENT_ONLY, dormant_limit_minor=0)
    stage = Stage(connection, terms=terms).submitted()
    stage.wait(days=91)
    return of(stage)


@scene
def a_higher_price_is_offered(connection: Connection) -> Scene:
    stage = Stage(connection).ready()
    _offer(stage, 12_000)
    return of(stage)


@scene
def a_lower_price_is_offered(connection: Connection) -> Scene:
    stage = Stage(connection).ready()
    _offer(stage, 8_000)
    return of(stage)


@scene
def the_offer_is_stale(connection: Connection) -> Scene:
    stage = Stage(connection).ready()
    _offer(stage, 8_000)
    assert stage.submit().is_done
    return of(stage)


@scene
def a_raised_price_is_unpaid(connection: Connection) -> Scene:
    stage = Stage(connection).ready()
    assert stage.amend(new_amount_minor=15_000).is_done
    stage.fill_wallet(20_000)
    return of(stage)


@scene
def a_top_up_is_under_way(connection: Connection) -> Scene:
    stage = Stage(connection).ready()
    stage.amend(new_amount_minor=15_000)
    assert stage.start_funding().is_done
    return of(stage)


@scene
def rolling_is_offered(connection: Connection) -> Scene:
    stage = Stage(connection, amounts=(10_000, 5_000)).ready()
    offer = ProposeAmendment(
        actor=stage.payee,
        slot_id=stage.slot_id,
        amendment_id=new_id(),
        to_slot_id=stage.slot_ids[1],
    )
    _done(stage, "propose_amendment", offer)
    return of(stage)


@scene
def the_contract_is_paused(connection: Connection) -> Scene:
    stage = Stage(connection, amounts=(10_000, 5_000)).ready()
    assert stage.on_contract("pause", stage.client).is_done
    return of(stage)


@scene
def the_contract_is_ending(connection: Connection) -> Scene:
    stage = Stage(connection).ready()
    assert stage.on_contract("end", stage.client).is_done
    return of(stage)


@scene
def the_contract_may_be_closed(connection: Connection) -> Scene:
    stage = Stage(connection).ready()
    stage.on_contract("end", stage.client)
    back = stage.on_slot("accept_refund", stage.payee).facts["refund_ids"][0]
    assert stage.refund_result(back, RailOutcome.DONE).is_done
    return of(stage)


@scene
def the_contract_is_over(connection: Connection) -> Scene:
    stage = Stage(connection)
    stage.propose()
    assert stage.on_contract("end", stage.payee).is_done
    return of(stage)


@scene
def the_month_is_closed(connection: Connection) -> Scene:
    stage = Stage(connection).submitted()
    number = connection.exec_driver_sql(
        "SELECT id FROM period WHERE during @> %s::timestamptz", (stage.now,)
    ).scalar_one()
    connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")
    close = periods.PeriodCommand(actor=stage.operator, period_id=number)
    (closed,) = periods.soft_close(connection, [close], at=stage.now + timedelta(days=40))
    assert closed.is_done, closed
    return of(stage)


def _offer(stage: Stage, price: int) -> None:
    offer = ProposeAmendment(
        actor=stage.payee, slot_id=stage.slot_id, amendment_id=new_id(), new_amount_minor=price
    )
    _done(stage, "propose_amendment", offer)


def _done(stage: Stage, verb: str, command: object) -> None:
    (outcome,) = getattr(service, verb)(stage.connection, [command], at=stage.now)
    assert outcome.is_done, outcome
