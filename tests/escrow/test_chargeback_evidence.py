"""Evidence of chargebacks: the payee is heard first, the deadline holds, and the rail is told."""

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from escrow import service_chargeback
from escrow.model_chargeback import ChargebackCommand
from escrow.rules_chargeback_evidence import MARGIN, WINDOW, window_end
from escrow.service_chargeback import EVIDENCE_HANDLER, evidence_results
from escrow.service_chargeback_look import evidence_pack
from kernel.ids import new_id
from rails import service as rails
from rails.model import OperationKind, RailOutcome, RailResult
from tests.escrow.stage import START, Stage
from tests.escrow.stage_chargeback import Bank, prove


@pytest.fixture
def bank(connection: Connection) -> Bank:
    return Bank(Stage(connection).submitted()).opened()


def test_evidence_waits_for_the_payees_answer(bank: Bank) -> None:
    """Nobody is judged unheard: not told, told without time, then answered and sent."""
    assert bank.submit().code == "chargeback.payee_not_heard"
    assert bank.tell().is_done
    assert bank.submit().code == "chargeback.payee_not_heard"

    assert bank.file(bank.stage.payee).is_done
    assert bank.submit().facts["state"] == "under_review"

    (asked,) = rails.list_open(bank.stage.connection, EVIDENCE_HANDLER)
    assert (asked.kind, asked.facts["chargeback"]) == (OperationKind.EVIDENCE, "dp_1")
    assert asked.facts["statements"] == [{"reference": "chat:1", "sha256": "ab" * 32}]
    assert bank.submit().code == "escrow.wrong_state"


def test_a_payee_who_is_silent_had_his_time(bank: Bank) -> None:
    """Told, with proof, and three days later the operator sends what there is."""
    assert bank.tell().is_done
    assert bank.tell(channel="letter").is_done
    bank.stage.wait(hours=71)
    assert bank.submit().code == "chargeback.payee_not_heard"

    bank.stage.wait(hours=1)

    assert bank.file(bank.stage.operator, "terms").is_done
    assert bank.chargeback.answered_at is None
    assert bank.submit().is_done
    assert bank.chargeback.submitted_at == bank.stage.now


def test_after_the_deadline_nothing_is_sent(bank: Bank) -> None:
    """The bank's own deadline is over: refused, and nothing was written."""
    assert bank.file(bank.stage.payee).is_done
    bank.stage.wait(days=14)
    version = bank.chargeback.version

    assert bank.submit().code == "chargeback.too_late"
    assert bank.chargeback.version == version


def test_who_may_do_what(bank: Bank) -> None:
    """The operator tells and sends; the payee answers; the client and strangers do nothing."""
    stage = bank.stage

    assert bank.tell(stage.payee).code == "escrow.not_yours"
    assert bank.file(stage.client).code == "escrow.not_yours"
    assert bank.file(stage.stranger).code == "escrow.not_yours"
    assert bank.submit(stage.payee).code == "escrow.not_yours"
    assert bank.file(stage.payee, reference=" ").code == "chargeback.bad_statement"
    assert bank.file(stage.payee, sha256="AB" * 32).code == "chargeback.bad_statement"
    assert bank.tell(channel=" ").code == "escrow.reason_required"
    assert bank.file(stage.payee).is_done
    assert bank.submit(version=1).code == "escrow.stale_version"


def test_an_appeal_is_answered_too(bank: Bank) -> None:
    """Lost, appealed: once more evidence is sent, and the appeal is under review."""
    assert bank.file(bank.stage.payee).is_done
    assert bank.submit().is_done
    assert bank.says("lost", at=bank.stage.now + timedelta(hours=1)).is_done
    due_by = bank.stage.now + timedelta(days=30)
    assert bank.says("appeal_open", due_by=due_by).is_done

    bank.stage.wait(days=20)

    assert bank.submit().facts["state"] == "appeal_under_review"
    assert bank.says("appeal_lost").is_done
    assert bank.file(bank.stage.payee).code == "escrow.wrong_state"
    prove(bank.stage)


def test_a_refusal_of_the_rail_is_told(bank: Bank) -> None:
    """What the rail does not take leaves an event for people; what it takes needs none."""
    stage = bank.stage
    results = [
        RailResult(
            operation_id=new_id(),
            kind=OperationKind.EVIDENCE,
            subject=bank.chargeback.subject,
            outcome=outcome,
            amount_minor=10_300,
            currency="EUR",
            code="evidence.too_large",
            occurred_at=stage.now,
        )
        for outcome in (RailOutcome.DONE, RailOutcome.REFUSED)
    ]

    assert evidence_results(stage.connection, results, at=stage.now) == []

    told = stage.connection.exec_driver_sql(
        "SELECT detail FROM event WHERE kind = 'chargeback.evidence_refused'"
    ).scalars()
    assert [each for each in told if "evidence.too_large" in each]


def test_the_pack_shows_contract_work_and_approvals(bank: Bank) -> None:
    """Contract, payment, submissions with their messages, the history, and what was filed."""
    assert bank.file(bank.stage.payee).is_done

    pack = evidence_pack(bank.stage.connection, bank.chargeback)

    kinds = [each["kind"] for each in pack["history"]]
    assert kinds[:2] == ["contract.proposed", "slot.proposed"]
    assert {"contract.accepted", "slot.funded", "slot.submitted"} <= set(kinds)
    assert pack["submissions"][0]["message_ref"] == "message:1"
    assert pack["payment"]["captured"] == {"amount": "103.00", "currency": "EUR"}
    assert pack["statements"][0]["filed_by"] == "payee"


def test_an_unknown_chargeback(bank: Bank) -> None:
    """There is none of this id."""
    command = ChargebackCommand(actor=bank.stage.operator, chargeback_id=UUID(int=7))

    (outcome,) = service_chargeback.submit_evidence(
        bank.stage.connection, [command], at=bank.stage.now
    )

    assert outcome.code == "chargeback.unknown"


@given(st.integers(0, 60 * 24 * 30))
def test_the_payees_window_leaves_time_to_file(minutes: int) -> None:
    """Three days, or up to a day before the deadline, or half of what is left; never beyond it."""
    due_by = START + timedelta(minutes=minutes)

    ends = window_end(due_by, START)

    assert START <= ends <= max(START, due_by)
    assert ends <= START + WINDOW
    if due_by >= START + WINDOW + MARGIN:
        assert ends == START + WINDOW
    if START + 2 * MARGIN <= due_by <= START + WINDOW + MARGIN:
        assert due_by - ends >= MARGIN or ends == START + (due_by - START) / 2
    assert window_end(None, START) == START + WINDOW
