"""The models cover every public command: one that is added without an act is found by its name."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import MappingProxyType, ModuleType
from typing import Final

import escrow
import ledger
import payouts
from engine.api.doors import DOORS
from tests.model.play import WORLDS

KNOWN_AS: Final = MappingProxyType(
    {
        "ledger.parties.create": "create_party",
        "ledger.parties.change": "change_party",
        "ledger.holds.place": "place_hold",
        "ledger.holds.lift": "lift_hold",
        "engine.api.doors.place_holds": "place_hold",
        "engine.api.doors.lift_holds": "lift_hold",
        "ledger.journals.prepare": "prepare_journal",
        "ledger.journals.approve": "approve_journal",
        "ledger.journals.reject": "reject_journal",
        "commissions.service_schedule.prepare": "prepare_schedule",
        "commissions.service_schedule.approve": "approve_schedule",
        "commissions.service_schedule.withdraw": "withdraw_schedule",
        "escrow.service_fx.quote": "quote_exchange",
        "payouts.methods.resume": "resume_payouts",
        "payouts.service.request": "request_payout",
        "payouts.service.submit": "submit_payout",
        "payouts.service.cancel": "cancel_payout",
    }
)
"""Commands whose acts have longer names, where two rooms use the same word."""

BY_CLOCKS: Final = MappingProxyType(
    {
        "auto_release": "auto_release",
        "end_security_hold": "security_hold",
        "refund_unanswered": "refund_reply",
        "expire_funding": "fund_interactive",
        "end_review": "drawdown_review",
    }
)
"""What only the engine commands, with the clock that does it."""

OUTSIDE: Final = MappingProxyType(
    {
        "escrow.service_batch.run": "how commands are run, no command",
        "escrow.service_hourly.run_hours": "how commands are run, no command",
        "escrow.service_work.on_slots": "how commands are run, no command",
        "escrow.service_shown.show_quotes": "how commands are run, no command",
        "escrow.store_flags.add_flags": "how a command is written down, no command",
        "payouts.desk.lay_out": "how commands are run, no command",
        "escrow.adoption.prepare": "once, on empty books: tests/escrow/test_adoption.py",
        "escrow.adoption.approve": "once, on empty books: tests/escrow/test_adoption.py",
        "ledger.correction.post_drafts": "the library's: tests/ledger/test_post_model.py",
        "ledger.correction.reverse": "the library's: tests/ledger/test_correction.py",
        "ledger.linked.post_chains": "the library's: tests/ledger/test_linked.py",
        "escrow.service_plans.run_steps": "how commands are run, no command",
        **{
            f"{room}.{verb}": "of exchange: tests/escrow/test_conversions.py"
            for room, verbs in {
                "commissions.service_fx": ("take_rates",),
                "commissions.service_fx_policy": ("prepare_policy", "approve_policy"),
                "escrow.service_fx": ("record_fills",),
            }.items()
            for verb in verbs
        },
        **{
            f"commissions.service_schedule.{verb}_ending": (
                "moves no money, and no deal that runs: tests/commissions/test_schedules.py"
            )
            for verb in ("prepare", "approve", "withdraw")
        },
        **{
            f"escrow.service_fee_move.{verb}_move": (
                "moves no money but what deals pin: tests/escrow/test_fee_moves.py"
            )
            for verb in ("prepare", "approve", "withdraw")
        },
        **{
            f"payouts.{verb}": "before money leaves: tests/payouts/test_screening.py"
            for verb in (
                *("methods.verify_methods", "service_policy.prepare_policy"),
                *("service_policy.approve_policy", "service_screening.screen"),
                *("service_screening.approve", "service_screening.refuse"),
                "service_screening.block",
            )
        },
        "payouts.service_payees.open_accounts": "of rails: tests/payouts/test_payees.py",
        "payouts.service_revaluation.revalue": "month's end: tests/payouts/test_revaluation.py",
        "payouts.service_revaluation.reverse_revaluation": (
            "month's end: tests/payouts/test_revaluation.py"
        ),
        **{
            f"escrow.service_{room}.{verb}": "sold beside the deals: tests/escrow/test_plans*.py"
            for room, verbs in (
                ("offerings", ("prepare_offering", "approve_offering", "reject_offering")),
                ("plans", ("subscribe", "cancel_subscription", "buy_product", "return_product")),
            )
            for verb in verbs
        },
        **{
            f"commissions.service_experiments_desk.{verb}": (
                "moves no money: tests/commissions/test_experiments_service.py"
            )
            for verb in ("prepare", "withdraw", "start", "stop", "decide")
        },
        **{
            f"payouts.{room}.{verb}": f"money at rest: tests/payouts/test_{told}.py"
            for room, told, verbs in (
                ("treasury", "treasury", ("set_treasury",)),
                (
                    "service_blocked",
                    "blocked",
                    ("prepare_release", "approve_release", "record_report"),
                ),
                ("service_sanctions", "blocked", ("change_parties", "rescreen")),
                (
                    "service_dormancy_rules",
                    "dormant",
                    ("set_rules", "set_residence", "note_contact"),
                ),
                ("service_dormant", "dormant", ("reactivate",)),
                (
                    "service_remittance",
                    "dormant",
                    ("prepare_remittance", "approve_remittance", "withdraw_remittance"),
                ),
                ("service_wallet", "wallet", ("top_up", "set_minimums")),
                ("service_withdrawal", "wallet", ("withdraw", "close_wallet")),
            )
            for verb in verbs
        },
        **{
            f"{room}.{verb}": told
            for room, told, verbs in (
                ("engine.rail_desk", "of events: tests/rails/test_events*.py", ("retry_events",)),
                (
                    "engine.webhooks.service",
                    "of what we send: tests/engine/webhooks",
                    ("change", "ping", "redeliver", "replay"),
                ),
                (
                    "payouts.service_bank",
                    "of bank files: tests/payouts/test_bank*.py",
                    ("add_accounts", "end_accounts", "make_files", "release_files"),
                ),
                (
                    "payouts.service_instant",
                    "of instant payouts: tests/payouts/test_instant.py",
                    ("allow", "request"),
                ),
                (
                    "payouts.service_runs",
                    "of payout runs: tests/payouts/test_runs.py",
                    ("prepare", "start", "stop", "withdraw"),
                ),
                (
                    "payouts.service_schedules",
                    "of schedules: tests/payouts/test_schedules.py",
                    ("approve_limits", "prepare_limits", "set_schedules"),
                ),
                (
                    "reconciliation",
                    "moves no money: tests/reconciliation",
                    (
                        "service.open_accounts",
                        "service_matching.decide_proposals",
                        "service_matching.undo_matches",
                        "service_breaks.assign",
                        "service_breaks.comment",
                        "service_breaks.decide_write_offs",
                        "service_breaks.explain",
                        "service_breaks.set_hours",
                        "service_certificates.sign",
                    ),
                ),
            )
            for verb in verbs
        },
        "payouts.service_bank.withdraw_files": "of bank files: tests/payouts/test_bank*.py",
        **{
            f"engine.care.{verb}": "of sanctions: tests/engine/api/test_care_over_http.py"
            for verb in ("change_parties", "rescreen", "approve_release")
        },
        "engine.api.doors.advance_clock": "the worlds move their clocks themselves",
    }
)
"""What no act is about, and why. Keys of the API and whatever only reads are no commands."""


def commands() -> Iterator[str]:
    """Every `verb(connection, commands, *, at)` of the rooms, and every door of the API."""
    for room in (escrow, ledger, payouts):
        for found in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            yield from _verbs(importlib.import_module(found.name))
    for door in DOORS.values():
        yield f"{door.service.__module__}.{door.service.__name__}"  # type: ignore[attr-defined]


def _verbs(module: ModuleType) -> Iterator[str]:
    for name, verb in inspect.getmembers(module, inspect.isfunction):
        given = list(inspect.signature(verb).parameters)
        is_ours = verb.__module__ == module.__name__ and not name.startswith("_")
        if is_ours and given[:2] == ["connection", "commands"] and "at" in given:
            yield f"{module.__name__}.{name}"


def missing(names: Iterator[str]) -> list[str]:
    """Those of the commands that no act of any world is about."""
    acts = {act for world in WORLDS for command in world.commands for act in command.split()}
    clocks = {clock for world in WORLDS for clock in world.clocks}
    found = []
    for name in sorted(set(names)):
        verb = name.rpartition(".")[2]
        is_done = KNOWN_AS.get(name, verb) in acts or BY_CLOCKS.get(verb) in clocks
        if not is_done and name not in OUTSIDE:
            found.append(name)
    return found


def test_every_public_command_has_an_act() -> None:
    """The list of acts is complete, and the list of exceptions names nothing that is gone."""
    assert missing(commands()) == []
    assert set(OUTSIDE) | set(KNOWN_AS) <= set(commands())


def test_a_command_without_an_act_is_found() -> None:
    """A verb that no world knows is told by its name."""
    assert missing(iter(["escrow.service_work.set_on_fire"])) == ["escrow.service_work.set_on_fire"]
