"""How the steps of people on a chargeback are asked for."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection

from escrow import service_chargeback
from escrow.machine import Trigger
from escrow.model_chargeback import Chargeback, ChargebackCommand, FileStatement, TellPayee
from escrow.ways_slot import SAMPLE
from kernel.commands import Command
from kernel.options import Way
from kernel.principals import Actor


def _tell(_connection: Connection, actor: Actor, chargeback: Chargeback) -> Command:
    return TellPayee(actor=actor, chargeback_id=chargeback.id, channel=SAMPLE, proof=SAMPLE)


def _file(_connection: Connection, actor: Actor, chargeback: Chargeback) -> Command:
    return FileStatement(actor=actor, chargeback_id=chargeback.id, reference=SAMPLE)


def _submit(_connection: Connection, actor: Actor, chargeback: Chargeback) -> Command:
    return ChargebackCommand(
        actor=actor, chargeback_id=chargeback.id, version=chargeback.version, reason=SAMPLE
    )


CHARGEBACK_WAYS: Final[Mapping[Trigger, Way]] = {
    Trigger.TELL_PAYEE: Way(
        service_chargeback.tell_payee, _tell, ("channel and proof of the notice",)
    ),
    Trigger.ANSWER: Way(service_chargeback.file_statement, _file, ("a reference",)),
    Trigger.SUBMIT_EVIDENCE: Way(service_chargeback.submit_evidence, _submit),
}
"""The rest is the rail's."""
