"""Decisions on what people do about a chargeback: tell the payee, hear him, send the evidence."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from escrow.machine import Guard, Transition, Trigger
from escrow.machine_chargeback import CHARGEBACKS
from escrow.model import Contract, Plan, Role
from escrow.model_chargeback import (
    Chargeback,
    ChargebackCommand,
    ChargebackState,
    FileStatement,
    Notified,
    Statement,
    TellPayee,
)
from escrow.refusals import ReasonRequired, StaleVersion
from escrow.refusals_chargeback import BadStatement, PayeeNotHeard, TooLate
from escrow.rules import check_text, roles, step
from escrow.rules_chargeback_plan import chargeback_facts
from escrow.rules_deal import event

WINDOW: Final = timedelta(hours=72)
"""The payee's time to answer, if the bank's deadline leaves it."""

MARGIN: Final = timedelta(hours=24)
"""What is left after the payee's time for the operator to file."""

_LONGEST: Final = 500
_HASH: Final = re.compile(r"([0-9a-f]{64})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Filed:
    """What a person's step changes: the plan, the chargeback after it, and new rows."""

    plan: Plan
    after: Chargeback
    rows: tuple[Statement | Notified, ...] = ()


def tell(
    chargeback: Chargeback, contract: Contract, command: TellPayee, number: int, at: datetime
) -> Filed:
    """The payee was told, and proof of it is kept; telling him again starts no second window.

    Refuses: `escrow.wrong_state`, `escrow.not_yours`, `escrow.stale_version`,
    `escrow.reason_required` without a channel or a proof.
    """
    _step(chargeback, contract, Trigger.TELL_PAYEE, command, at)
    for field in ("channel", "proof"):
        given = getattr(command, field)
        check_text(given, field=field, longest=100 if field == "channel" else _LONGEST)
        if not given.strip():
            raise ReasonRequired(chargeback_id=str(chargeback.id), field=field)
    after = replace(
        chargeback,
        version=chargeback.version + 1,
        told_at=chargeback.told_at or at,
        heard_by=chargeback.heard_by or window_end(chargeback.due_by, at),
    )
    row = Notified(
        chargeback.id, number, command.channel, command.proof, command.actor.principal_id, at
    )
    detail = {"channel": command.channel, "proof": command.proof}
    return _filed(after, "chargeback.payee_told", command, at, detail, (row,))


def window_end(due_by: datetime | None, at: datetime) -> datetime:
    """Three days from now, a day before the bank's deadline, or half of what is left of it."""
    if due_by is None or due_by - MARGIN >= at + WINDOW:
        return at + WINDOW
    left = due_by - at
    return at + max(left - MARGIN, left / 2, timedelta())


def file(
    chargeback: Chargeback,
    contract: Contract,
    command: FileStatement,
    number: int,
    at: datetime,
) -> Filed:
    """A document for the evidence; the payee's first one is his answer.

    Refuses: `escrow.wrong_state`, `escrow.not_yours`, `chargeback.bad_statement`.
    """
    _, role = _step(chargeback, contract, Trigger.ANSWER, command, at)
    check_text(command.reference, field="reference", longest=_LONGEST)
    if not command.reference.strip() or _HASH.fullmatch(command.sha256) is None:
        raise BadStatement(chargeback_id=str(chargeback.id))
    is_answer = role is Role.PAYEE
    after = replace(
        chargeback,
        version=chargeback.version + 1,
        answered_at=chargeback.answered_at or (at if is_answer else None),
    )
    row = Statement(
        chargeback.id,
        number,
        role.value,
        command.actor.principal_id,
        command.reference,
        command.sha256,
        at,
    )
    kind = "chargeback.answered" if is_answer else "chargeback.statement_filed"
    detail = {"statement_no": number, "reference": command.reference, "sha256": command.sha256}
    return _filed(after, kind, command, at, detail, (row,))


def submit(
    chargeback: Chargeback, contract: Contract, command: ChargebackCommand, at: datetime
) -> Filed:
    """The evidence goes to the bank.

    Refuses: `escrow.wrong_state`, `escrow.not_yours`, `chargeback.payee_not_heard`,
    `chargeback.too_late`.
    """
    row, _ = _step(chargeback, contract, Trigger.SUBMIT_EVIDENCE, command, at)
    after = replace(
        chargeback,
        version=chargeback.version + 1,
        state=ChargebackState(row.to),
        state_at=max(at, chargeback.state_at),
        submitted_at=at,
    )
    return _filed(after, "chargeback.evidence_submitted", command, at, {}, ())


def _step(
    chargeback: Chargeback,
    contract: Contract,
    trigger: Trigger,
    command: ChargebackCommand,
    at: datetime,
) -> tuple[Transition, Role]:
    row, role = step(
        CHARGEBACKS,
        chargeback.state,
        trigger,
        roles(command.actor, contract),
        chargeback_id=str(chargeback.id),
    )
    if command.version not in {None, chargeback.version}:
        raise StaleVersion(
            chargeback_id=str(chargeback.id), version=chargeback.version, given=command.version
        )
    if Guard.PAYEE_HEARD in row.guards and not _is_heard(chargeback, at):
        raise PayeeNotHeard(
            chargeback_id=str(chargeback.id),
            **({"heard_by": chargeback.heard_by.isoformat()} if chargeback.heard_by else {}),
        )
    if Guard.BEFORE_DEADLINE in row.guards and chargeback.due_by and at >= chargeback.due_by:
        raise TooLate(chargeback_id=str(chargeback.id), due_by=chargeback.due_by.isoformat())
    return row, role


def _is_heard(chargeback: Chargeback, at: datetime) -> bool:
    if chargeback.answered_at is not None:
        return True
    return chargeback.heard_by is not None and at >= chargeback.heard_by


def _filed(
    after: Chargeback,
    kind: str,
    command: ChargebackCommand,
    at: datetime,
    detail: Mapping[str, object],
    rows: tuple[Statement | Notified, ...],
) -> Filed:
    draft = event(command, at, kind=kind, subject=after.subject, detail=detail)
    plan = Plan(drafts=(draft,), facts=chargeback_facts(after))
    return Filed(plan, after, rows)
