"""Each refusal has its code, and a refused command writes nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection

from escrow import service
from escrow.commands import (
    AddMilestones,
    ContractCommand,
    Milestone,
    Propose,
    ProposeAmendment,
    SignAmendment,
    SlotCommand,
    Submit,
    Tip,
)
from escrow.model import ReleaseRule, Terms
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import Actor
from rails.model import OperationKind, RailOutcome, RailResult
from tests.escrow.stage import Stage, prove_books

TABLES = (
    *("contract", "term", "slot", "submission", "amendment", "release", "funding", "lot"),
    *("refund", "timer", "rail_operation", "event", "entry", "line", "account"),
)


def everything(connection: Connection) -> dict[str, object]:
    """A digest of every table that a command may write."""
    return {
        table: connection.exec_driver_sql(
            f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t"
        ).one()
        for table in TABLES
    }


def proposal(stage: Stage, **changes: object) -> Outcome:
    assert stage.client.party_id is not None
    assert stage.payee.party_id is not None
    command = Propose(
        actor=stage.payee,
        contract_id=new_id(),
        client_id=stage.client.party_id,
        payee_id=stage.payee.party_id,
        currency="EUR",
        milestones=(Milestone(slot_id=new_id(), amount_minor=10_000),),
    )
    command = replace(command, **changes)  # type: ignore[arg-type]
    return service.propose(stage.connection, [command], at=stage.now)[0]


def milestone(amount_minor: int) -> tuple[Milestone, ...]:
    return (Milestone(slot_id=new_id(), amount_minor=amount_minor),)


def add(stage: Stage, **changes: object) -> Outcome:
    command = AddMilestones(
        actor=stage.payee, contract_id=stage.contract_id, milestones=milestone(5)
    )
    command = replace(command, **changes)  # type: ignore[arg-type]
    return service.add_milestones(stage.connection, [command], at=stage.now)[0]


def tip(stage: Stage, **changes: object) -> Outcome:
    command = Tip(
        actor=stage.client, contract_id=stage.contract_id, funding_id=new_id(), amount_minor=5
    )
    command = replace(command, **changes)  # type: ignore[arg-type]
    return service.tip(stage.connection, [command], at=stage.now)[0]


def end(stage: Stage, **changes: object) -> Outcome:
    command = ContractCommand(actor=stage.client, contract_id=stage.contract_id)
    command = replace(command, **changes)  # type: ignore[arg-type]
    return service.end(stage.connection, [command], at=stage.now)[0]


def submit(stage: Stage, actor: Actor) -> Outcome:
    command = Submit(actor=actor, slot_id=stage.slot_id, message_ref="message:1")
    return service.submit(stage.connection, [command], at=stage.now)[0]


def stale(stage: Stage) -> Outcome:
    return stage.on_slot("ask_refund", stage.client, version=1)


def taken(stage: Stage) -> Outcome:
    return proposal(stage, contract_id=stage.contract_id)


def taken_slot(stage: Stage) -> Outcome:
    again = (Milestone(slot_id=stage.slot_id, amount_minor=1),)
    return proposal(stage, milestones=again)


def lookalikes(stage: Stage) -> Outcome:
    slot_id = new_id()
    twins = (Milestone(slot_id=slot_id, amount_minor=1),) * 2
    return proposal(stage, milestones=twins)


def bad_amendment(stage: Stage) -> Outcome:
    return stage.amend(new_amount_minor=5, to_slot_id=new_id())


ON_FUNDED: dict[str, list[Callable[[Stage], Outcome]]] = {
    "escrow.not_yours": [
        lambda s: s.on_slot("approve", s.payee),
        lambda s: s.on_slot("approve", s.stranger),
        lambda s: s.on_slot("approve", s.operator),
        lambda s: s.on_slot("give_back", s.client),
        lambda s: s.on_slot("settle_dormant", s.stranger),
        lambda s: proposal(s, actor=s.stranger),
        lambda s: end(s, actor=s.stranger),
        lambda s: add(s, actor=s.stranger),
        lambda s: tip(s, actor=s.payee),
        lambda s: submit(s, actor=s.client),
    ],
    "escrow.wrong_state": [
        lambda s: s.on_slot("cancel", s.client),
        lambda s: s.on_slot("accept_refund", s.payee),
        lambda s: s.on_slot("request_changes", s.client, reason="why"),
        lambda s: s.on_slot("withdraw_submission", s.payee),
        lambda s: s.on_slot("confirm", s.client),
        lambda s: s.on_contract("resume", s.client),
        lambda s: s.on_contract("close", s.client),
        lambda s: s.accept(),
        lambda s: s.on_slot("settle_dormant", s.operator),
        lambda s: s.on_slot("auto_release", s.client),
        lambda s: s.on_slot("refund_unanswered", s.client),
    ],
    "escrow.stale_version": [stale, lambda s: s.approve(submission_no=3)],
    "escrow.unknown_slot": [lambda s: s.on_slot("approve", s.client, slot_id=new_id())],
    "escrow.unknown_contract": [
        lambda s: end(s, contract_id=new_id()),
        lambda s: add(s, contract_id=new_id()),
        lambda s: tip(s, contract_id=new_id()),
    ],
    "escrow.unknown_party": [lambda s: proposal(s, client_id=new_id())],
    "escrow.same_party": [lambda s: proposal(s, client_id=s.payee.party_id)],
    "escrow.amount_out_of_range": [
        lambda s: proposal(s, milestones=milestone(0)),
        lambda s: proposal(s, milestones=milestone(-1)),
        lambda s: proposal(s, milestones=milestone(10**15 + 1)),
        lambda s: s.release_part(0),
        lambda s: s.release_part(-5),
        lambda s: s.release_part(10_000),
        lambda s: s.amend(new_amount_minor=10_000),
        lambda s: tip(s, amount_minor=0),
    ],
    "escrow.bad_milestones": [lookalikes, lambda s: proposal(s, milestones=())],
    "escrow.id_taken": [taken, taken_slot],
    "escrow.bad_terms": [
        lambda s: proposal(s, terms=Terms(commission_bps=10_001)),
        lambda s: proposal(s, terms=Terms(client_fee_bps=-1)),
        lambda s: proposal(s, terms=Terms(auto_release_after=timedelta(minutes=59))),
        lambda s: proposal(s, terms=Terms(auto_release_after=timedelta(days=31))),
    ],
    "escrow.bad_amendment": [bad_amendment, lambda s: s.amend(to_slot_id=new_id())],
    "escrow.bad_text": [
        lambda s: s.on_slot("ask_refund", s.client, reason="x" * 2_001),
        lambda s: s.on_slot("ask_refund", s.client, reason="a\0b"),
        lambda s: s.on_slot("ask_refund", s.client, reason="\ud800"),
        lambda s: s.submit("m" * 501),
        lambda s: tip(s, method_token="t" * 256),
        lambda s: tip(s, rail_account=""),
    ],
    "escrow.nothing_unpaid": [lambda s: s.start_funding()],
    "money.unknown_currency": [lambda s: proposal(s, currency="ABC")],
}

CASES = [(code, number) for code, acts in ON_FUNDED.items() for number in range(len(acts))]


@pytest.mark.parametrize(("code", "number"), CASES)
def test_refused_and_nothing_written(connection: Connection, code: str, number: int) -> None:
    """On a funded slot: the code is the rule's, and no row of any table has changed."""
    stage = Stage(connection).ready()
    before = everything(connection)

    outcome = ON_FUNDED[code][number](stage)

    assert outcome.code == code
    assert everything(connection) == before


def test_who_proposed_cannot_accept(connection: Connection) -> None:
    """Row 2: acceptance is the other party's."""
    stage = Stage(connection)
    assert stage.propose().is_done

    assert stage.accept(stage.payee).code == "escrow.other_party_must_sign"
    assert stage.accept(stage.stranger).code == "escrow.not_yours"


def test_one_list_names_a_subject_once(connection: Connection) -> None:
    """Twins in one list are refused before anything is locked; their neighbour goes on."""
    stage = Stage(connection, amounts=(10_000, 20_000)).ready()
    first, second = stage.slot_ids
    commands = [SlotCommand(actor=stage.client, slot_id=each) for each in (first, first, second)]

    outcomes = service.approve(connection, commands, at=stage.now)

    assert [each.code for each in outcomes[:2]] == ["escrow.subject_twice"] * 2
    assert outcomes[2].code == "escrow.wrong_state"
    assert stage.slot(first).state == "funded"


def test_a_refused_command_does_not_touch_its_neighbours(connection: Connection) -> None:
    """Of three releases the middle one is refused by the ledger; the others move their money."""
    stages = [Stage(connection).ready() for _ in range(3)]
    held = stages[1]
    held.hold(f"slot:{held.slot_id}")
    commands = [SlotCommand(actor=each.client, slot_id=each.slot_id) for each in stages]

    outcomes = service.approve(connection, commands, at=held.now)

    assert [each.code for each in outcomes] == ["done", "escrow.held", "done"]
    assert [each.slot().state for each in stages] == ["released", "funded", "released"]
    prove_books(connection)


def test_more_milestones_wait_for_the_other_side(connection: Connection) -> None:
    """A milestone added later is accepted by whoever did not offer it."""
    stage = Stage(connection).ready()
    answer = add(stage, milestones=milestone(5_000))
    assert answer.is_done

    assert stage.accept(stage.payee).code == "escrow.other_party_must_sign"
    assert stage.accept(stage.client).is_done

    stage.slot_id = UUID(answer.facts["slot_ids"][0])
    assert stage.slot().state == "awaiting_funding"
    assert stage.on_slot("cancel", stage.client).is_done


def test_a_client_only_contract_has_no_timer(connection: Connection) -> None:
    """Row 8: rule client_only arms no release, and refuses one."""
    stage = Stage(connection, terms=Terms(release_rule=ReleaseRule.CLIENT_ONLY)).submitted()

    rows = connection.exec_driver_sql(
        "SELECT kind FROM timer WHERE subject = %s", (f"slot:{stage.slot_id}",)
    ).scalars()

    assert list(rows) == ["escrow.dormant"]


def test_an_amendment_of_a_slot_that_moved_is_stale(connection: Connection) -> None:
    """Row 20: what was offered on an older version of the slot cannot be signed."""
    stage = Stage(connection).ready()
    offer = ProposeAmendment(
        actor=stage.payee, slot_id=stage.slot_id, amendment_id=new_id(), new_amount_minor=9_000
    )
    assert service.propose_amendment(connection, [offer], at=stage.now)[0].is_done
    sign = SignAmendment(actor=stage.client, amendment_id=offer.amendment_id)
    mine = SignAmendment(actor=stage.payee, amendment_id=offer.amendment_id)
    early = service.sign_amendment(connection, [mine], at=stage.now)[0]
    assert early.code == "escrow.other_party_must_sign"
    assert stage.submit().is_done

    outcome = service.sign_amendment(connection, [sign], at=stage.now)[0]

    assert outcome.code == "escrow.stale_version"
    assert stage.slot().amount_minor == 10_000


def test_change_rounds_and_late_reviews_are_refused(connection: Connection) -> None:
    """Row 5: changes are asked for while the review runs, not at its last instant."""
    stage = Stage(connection).submitted()
    stage.now += timedelta(days=14)

    outcome = stage.on_slot("request_changes", stage.client, reason="late")

    assert outcome.code == "escrow.review_is_over"


def test_rolled_money_of_one_payment_goes_back_slot_by_slot(connection: Connection) -> None:
    """Two slots that hold money of one payment are given back in one list, cent by cent."""
    stage = Stage(connection, amounts=(10_000, 1, 20_000)).ready()
    first, second, third = stage.slot_ids
    stage.slot_id = third
    assert stage.fund().is_done
    stage.slot_id = first
    assert stage.release_part(4_000).is_done
    assert stage.amend(to_slot_id=third).is_done
    stage.slot_id = second
    assert stage.fund().is_done
    commands = [SlotCommand(actor=stage.payee, slot_id=each) for each in (second, third)]

    outcomes = service.give_back(connection, commands, at=stage.now)

    assert [each.code for each in outcomes] == ["done", "done"]
    assert outcomes[1].facts["refunded"]["amount"] == "260.00"
    assert outcomes[1].facts["fee_returned"]["amount"] == "6.00"
    assert len(outcomes[1].facts["refund_ids"]) == 2
    prove_books(connection)


def test_results_about_nothing_of_ours_are_refused(connection: Connection) -> None:
    """A rail's word about an unknown refund does not stop its neighbours."""
    stage = Stage(connection).ready()
    refund_id = stage.on_slot("give_back", stage.payee).facts["refund_ids"][0]
    stray = RailResult(
        operation_id=new_id(),
        kind=OperationKind.REFUND,
        subject="refund:?",
        outcome=RailOutcome.DONE,
        amount_minor=1,
        currency="EUR",
        occurred_at=stage.now,
    )
    ours = replace(stray, operation_id=UUID(refund_id))

    outcomes = service.refund_results(connection, [stray, ours], at=stage.now)

    assert [each.code for each in outcomes] == ["escrow.unknown_refund", "done"]
    prove_books(connection)
