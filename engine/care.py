"""What the engine puts together about money at rest: sanctions, dormancy, wallets, the treasury.

A match stops clocks of deals as well as those of payouts, so both rooms are called here.
"""

from collections.abc import Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection

from engine.group_commit import Service
from escrow import timers as escrow_timers
from escrow.service_chargeback_notices import hear_notices
from kernel.commands import Outcome
from ledger import holds
from ledger.parties import ChangeParty
from payouts import (
    hearing_wallet,
    service_blocked,
    service_dormancy_rules,
    service_dormant,
    service_remittance,
    service_sanctions,
    service_wallet,
    service_withdrawal,
    treasury,
)
from payouts.model_blocked import ApproveRelease, Rescreen, SanctionBlock
from rails.model import Notice
from rails.telling import ResultHandler


def change_parties(
    connection: Connection, commands: Sequence[ChangeParty], *, at: datetime
) -> list[Outcome]:
    """Set identity and sanction states; a match blocks money and stops the clocks of its deals."""
    outcomes = service_sanctions.change_parties(connection, commands, at=at)
    named = [each for each in commands if each.sanction_state is not None]
    _follow(connection, [f"party:{each.party_id}" for each in named], at)
    return outcomes


def rescreen(
    connection: Connection, commands: Sequence[Rescreen], *, at: datetime
) -> list[Outcome]:
    """A list changed: block what it names now, and stop the clocks of those deals."""
    outcomes = service_sanctions.rescreen(connection, commands, at=at)
    named = {
        f"party:{block['party_id']}"
        for outcome in outcomes
        for block in outcome.facts.get("blocked", ())
    } | {f"party:{each}" for command in commands for each in command.party_ids}
    _follow(connection, sorted(named), at)
    return outcomes


def approve_release(
    connection: Connection, commands: Sequence[ApproveRelease], *, at: datetime
) -> list[Outcome]:
    """Give blocked money back, and let the clocks run on that no other hold stops."""
    outcomes = service_blocked.approve_release(connection, commands, at=at)
    _follow(connection, [f"party:{o.facts['party_id']}" for o in outcomes if o.is_done], at)
    return outcomes


def block_later(connection: Connection, *, at: datetime) -> list[SanctionBlock]:
    """Block what came to matched parties since, and stop their clocks."""
    blocks = service_sanctions.block_later(connection, at=at)
    _follow(connection, [f"party:{each.party_id}" for each in blocks], at)
    return blocks


def hear_chargebacks(connection: Connection, notices: Sequence[Notice], at: datetime) -> None:
    """Chargebacks of payments into wallets go to payouts, all others to the deals."""
    ours, others = hearing_wallet.split_chargebacks(connection, notices)
    if ours:
        hearing_wallet.hear_chargebacks(connection, ours, at)
    if others:
        hear_notices(connection, others, at=at)


def _follow(connection: Connection, subjects: Sequence[str], at: datetime) -> None:
    held = holds.list_open(connection, subjects) if subjects else {}
    stopped = sorted(each for each in set(subjects) if held.get(each))
    freed = sorted(set(subjects) - set(stopped))
    if stopped:
        escrow_timers.pause_clocks(connection, stopped, at=at)
    if freed:
        escrow_timers.resume_clocks(connection, freed, at=at)


DAILY: Final = (
    block_later,
    hearing_wallet.take_back,
    service_dormant.watch,
)
"""What is looked at once a day, each in a transaction of its own: f(connection, at=at)."""

RESULTS: Final[MappingProxyType[str, ResultHandler]] = MappingProxyType(
    {
        service_wallet.TOP_UP_HANDLER: hearing_wallet.hear_top_ups,
        service_withdrawal.REFUND_HANDLER: hearing_wallet.hear_refunds,
        service_remittance.HANDLER: service_remittance.hear_remittances,
    }
)
"""By the handler that a rail operation names."""

SERVICES: Final[MappingProxyType[str, Service]] = MappingProxyType(
    {
        "parties.change": change_parties,
        "treasury.set": treasury.set_treasury,
        "sanctions.rescreen": rescreen,
        "sanctions.prepare_release": service_blocked.prepare_release,
        "sanctions.approve_release": approve_release,
        "sanctions.record_report": service_blocked.record_report,
        "unclaimed.set_rules": service_dormancy_rules.set_rules,
        "unclaimed.set_residence": service_dormancy_rules.set_residence,
        "unclaimed.note_contact": service_dormancy_rules.note_contact,
        "unclaimed.reactivate": service_dormant.reactivate,
        "unclaimed.prepare_remittance": service_remittance.prepare_remittance,
        "unclaimed.approve_remittance": service_remittance.approve_remittance,
        "unclaimed.withdraw_remittance": service_remittance.withdraw_remittance,
        "wallets.top_up": service_wallet.top_up,
        "wallets.withdraw": service_withdrawal.withdraw,
        "wallets.close": service_withdrawal.close_wallet,
        "wallets.set_minimums": service_wallet.set_minimums,
    }
)
"""The services that the API's calls name."""
