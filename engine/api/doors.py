"""The table of services that the API submits to: a name, the use case, what a command is about."""

import threading
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, Engine

from commissions import (
    service_experiments_desk,
    service_fx,
    service_fx_policy,
    service_schedule,
)
from engine import care, rail_desk
from engine.api.doors_runs import RUN_SERVICES
from engine.group_commit import Door, GroupCommit, Service
from engine.webhooks import service as webhooks
from escrow import service as escrow
from escrow import (
    service_chargeback,
    service_claims,
    service_dispute,
    service_fee_move,
    service_hybrid,
    service_notice,
    service_offerings,
    service_plans,
    service_promotion,
    service_reserve,
    service_retainer,
    service_retainer_pause,
    service_tax_credit,
)
from escrow import service_fx as conversions
from escrow import timers as escrow_timers
from escrow.commands import AddMilestones, Propose
from kernel import clock
from kernel.commands import Command, Outcome, done, refused
from kernel.database import Tenant
from kernel.errors import Refusal
from ledger import holds, journals, parties, reservations
from ledger.model import Draft
from ledger.service import post
from payouts import (
    methods,
    service_payees,
    service_policy,
    service_revaluation,
    service_screening,
)
from payouts import service as payouts
from payouts.commands import VerifyMethod
from reconciliation import service as statements
from reconciliation import service_breaks, service_certificates, service_matching
from tax import service_profile

_NAMES: Final = (
    *(
        "slot_id",
        "contract_id",
        "funding_id",
        "amendment_id",
        "dispute_id",
        "claim_id",
        "chargeback_id",
        "payout_id",
        "party_id",
        "hold_id",
    ),
    *("policy_id", "quote_id", "conversion_id"),
    *("reservation_id", "journal_id"),
    *("term_id", "week_id", "entry_id", "run_id", "line_dispute_id"),
    *("retainer_id", "period_id", "drawdown_id"),
    "experiment_id",
    *("release_id", "block_id", "remittance_id", "top_up_id", "withdrawal_id", "client_id"),
    *("offering_id", "subscription_id", "purchase_id"),
    *("schedule_id", "ending_id", "move_id"),
    *("subject", "reference"),
    *("event_no", "endpoint_id", "delivery_no"),
    *("proposal_id", "match_id"),
)


_TAX: Final = ("set_supplier", "set_buyer", "store_check")


_JOURNALS: Final = ("prepare", "approve", "reject", "set_limits")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceClock(Command):
    """Move a sandbox's clock on."""

    to: datetime


def subjects(command: Command) -> Iterable[Hashable]:
    """What a command is about: the ids and names that it carries, which come once in a batch."""
    found: list[Hashable] = [
        (name, value) for name in _NAMES if (value := getattr(command, name, None))
    ]
    if isinstance(command, Propose | AddMilestones):
        found += [("slot_id", each.slot_id) for each in command.milestones]
    if isinstance(command, AdvanceClock):
        found.append("clock")
    if isinstance(command, VerifyMethod):
        found.append(("method_id", command.method_id))
    return found


def advance_clock(
    connection: Connection, commands: Sequence[AdvanceClock], *, at: datetime
) -> list[Outcome]:
    """Move the sandbox's clock; each move is an event. Refuses `clock.*`."""
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            now = clock.advance(connection, to=command.to)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        detail = {"from": at.isoformat(), "to": now.isoformat()}
        post(connection, [Draft("clock.advanced", "", command.actor, now, detail=detail)])
        outcomes.append(done(now=now.isoformat(), mode=clock.Mode.SANDBOX.value))
    return outcomes


def place_holds(
    connection: Connection, commands: Sequence[holds.PlaceHold], *, at: datetime
) -> list[Outcome]:
    """Place holds and stop the clocks of what they block."""
    outcomes = holds.place(connection, commands, at=at)
    escrow_timers.pause_clocks(connection, _subjects_of(outcomes), at=at)
    return outcomes


def lift_holds(
    connection: Connection, commands: Sequence[holds.LiftHold], *, at: datetime
) -> list[Outcome]:
    """Lift holds and let the clocks run on that no other hold stops."""
    outcomes = holds.lift(connection, commands, at=at)
    escrow_timers.resume_clocks(connection, _subjects_of(outcomes), at=at)
    return outcomes


def _subjects_of(outcomes: Sequence[Outcome]) -> list[str]:
    return sorted({outcome.facts["subject"] for outcome in outcomes if outcome.is_done})


def _doors() -> Mapping[str, Door]:
    services: dict[str, Service] = {
        "parties.create": parties.create,
        "holds.place": place_holds,
        "holds.lift": lift_holds,
        "reservations.make": reservations.reserve,
        "reservations.post": reservations.post_reserved,
        "reservations.void": reservations.void,
        "clock.advance": advance_clock,
        "rails.retry_event": rail_desk.retry_events,
        "webhooks.change": webhooks.change,
        "webhooks.test": webhooks.ping,
        "webhooks.replay": webhooks.replay,
        "webhooks.redeliver": webhooks.redeliver,
        **{f"journals.{verb}": getattr(journals, verb) for verb in _JOURNALS},
    }
    for verb in (
        *("propose", "add_milestones", "accept", "pause", "resume", "end", "close"),
        *("fund", "tip", "cancel_funding", "credit_receipt"),
        *("submit", "withdraw_submission", "request_changes", "flag_empty", "ask_refund", "cancel"),
        *("approve", "release_part", "confirm", "accept_refund", "give_back", "settle_dormant"),
        *("propose_amendment", "sign_amendment"),
        *("propose_hours", "add_hours", "accept_hours", "change_hours"),
        *("log_time", "edit_time", "delete_time", "approve_late", "write_off"),
        *("start_time", "stop_time", "discard_time"),
        *("dispute_line", "serve_line", "reply_line", "concede_line", "withdraw_line"),
        *("propose_line", "approve_line"),
    ):
        services[f"escrow.{verb}"] = getattr(escrow, verb)
    for verb in (
        *("open_dispute", "serve_dispute", "concede_dispute", "withdraw_dispute"),
        *("offer_in_dispute", "accept_dispute_offer", "file_evidence", "extend_dispute"),
        *("mediate_dispute", "recommend_in_dispute", "elect_arbitration", "appeal_dispute"),
        *("propose_decision", "approve_decision", "set_dispute_rules"),
    ):
        services[f"escrow.{verb}"] = getattr(service_dispute, verb)
    for room, verbs in (
        (service_chargeback, ("tell_payee", "file_statement", "submit_evidence")),
        (service_notice, ("record_notice", "set_clock_rules")),
        (service_reserve, ("set_hold_limit", "set_reserve_rule")),
        (service_claims, ("refund_later", "propose_write_off", "approve_write_off")),
        (service_claims, ("set_claim_rules",)),
    ):
        services |= {f"escrow.{verb}": getattr(room, verb) for verb in verbs}
    services |= _payouts() | _terms() | _plans() | _fees() | _exchange() | _beside()
    return {name: Door(service, subjects) for name, service in services.items()}


def _payouts() -> dict[str, Service]:
    """Methods, payees' accounts and the policy; payouts, and what people say to them."""
    screened: dict[str, Service] = {
        f"payouts.{verb}": getattr(service_screening, verb)
        for verb in ("screen", "approve", "refuse", "block")
    }
    return screened | {
        "payouts.verify_method": methods.verify_methods,
        "payouts.open_payee_account": service_payees.open_accounts,
        "payouts.prepare_policy": service_policy.prepare_policy,
        "payouts.approve_policy": service_policy.approve_policy,
        "payouts.add_method": methods.add_methods,
        "payouts.resume": methods.resume,
        "payouts.request": payouts.request,
        "payouts.submit": payouts.submit,
        "payouts.cancel": payouts.cancel,
    }


def _beside() -> dict[str, Service]:
    """Tax, runs of payouts, and money at rest."""
    taxes: dict[str, Service] = {f"tax.{verb}": getattr(service_profile, verb) for verb in _TAX}
    taxes["tax.credit"] = service_tax_credit.credit_tax
    return {**taxes, **RUN_SERVICES, **care.SERVICES, **_reconciliation()}


def _reconciliation() -> dict[str, Service]:
    """Accounts on statements, proposals, matches taken back; breaks and certificates."""
    return {
        "reconciliation.open_account": statements.open_accounts,
        "reconciliation.decide": service_matching.decide_proposals,
        "reconciliation.undo": service_matching.undo_matches,
        "reconciliation.comment": service_breaks.comment,
        "reconciliation.explain": service_breaks.explain,
        "reconciliation.assign": service_breaks.assign,
        "reconciliation.propose_write_off": service_breaks.propose_write_off,
        "reconciliation.decide_write_off": service_breaks.decide_write_offs,
        "reconciliation.set_hour": service_breaks.set_hours,
        "reconciliation.sign": service_certificates.sign,
    }


def _exchange() -> dict[str, Service]:
    """Rates, policies and quotes; what is exchanged and filled; and what that makes of balances."""
    return {
        "fx.take_rates": service_fx.take_rates,
        "fx.prepare_policy": service_fx_policy.prepare_policy,
        "fx.approve_policy": service_fx_policy.approve_policy,
        "fx.quote": conversions.quote,
        "escrow.convert": conversions.convert,
        "escrow.record_fills": conversions.record_fills,
        "payouts.revalue": service_revaluation.revalue,
        "payouts.reverse_revaluation": service_revaluation.reverse_revaluation,
    }


def _terms() -> dict[str, Service]:
    """Retainers, and what both sides change about the terms of a contract."""
    steps: dict[str, Service] = {
        f"escrow.{verb}": getattr(service_retainer, verb)
        for verb in (
            *("offer_retainer", "accept_retainer", "cancel_retainer"),
            *("draw_down", "approve_drawdown", "reject_drawdown", "withdraw_drawdown"),
        )
    }
    for verb in ("pause_retainer", "resume_retainer"):
        steps[f"escrow.{verb}"] = getattr(service_retainer_pause, verb)
    for verb in ("propose", "sign", "reject", "withdraw"):
        name = f"{verb}_term_amendment"
        steps[f"escrow.{name}"] = getattr(service_hybrid, name)
    return steps


def _fees() -> dict[str, Service]:
    """Fee schedules, experiments on fees, and the promotion that a deal names."""
    verbs = ("prepare", "approve", "withdraw", "prepare_ending", "approve_ending")
    keepers = {
        f"fees.{verb}": getattr(service_schedule, verb) for verb in (*verbs, "withdraw_ending")
    }
    trials: dict[str, Service] = {
        f"experiments.{verb}": getattr(service_experiments_desk, verb)
        for verb in ("prepare", "withdraw", "start", "stop", "decide")
    }
    moves: dict[str, Service] = {
        f"fees.{verb}": getattr(service_fee_move, verb)
        for verb in ("prepare_move", "approve_move", "withdraw_move")
    }
    named = {"fees.name_promotion": service_promotion.name_promotion}
    return {**keepers, **trials, **moves, **named}


def _plans() -> dict[str, Service]:
    """What is sold besides fees, and who takes it."""
    return {
        f"plans.{verb}": getattr(room, verb)
        for room, verbs in (
            (service_offerings, ("prepare_offering", "approve_offering", "reject_offering")),
            (service_plans, ("subscribe", "cancel_subscription", "buy_product", "return_product")),
        )
        for verb in verbs
    }


DOORS: Final = MappingProxyType(_doors())
"""Every service that the API's calls name."""


class TenantDoors:
    """The group commits of one process, one for each tenant that was asked for."""

    def __init__(self, engine: Engine, doors: Mapping[str, Door] = DOORS) -> None:
        self._engine = engine
        self._doors = doors
        self._open: dict[Tenant, GroupCommit] = {}
        self._lock = threading.Lock()

    def __call__(self, tenant: Tenant) -> GroupCommit:
        """The tenant's group commit, always the same one."""
        found = self._open.get(tenant)
        if found is not None:
            return found
        with self._lock:
            if tenant not in self._open:
                self._open[tenant] = GroupCommit(self._engine, tenant, self._doors)
            return self._open[tenant]

    def close(self) -> None:
        """Let every writer finish what waits, and end."""
        with self._lock:
            for door in self._open.values():
                door.close()
