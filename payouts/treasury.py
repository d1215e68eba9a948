"""The treasury: what lies where, why it stays, what settles next, and when payouts must stop.

The rows say what becomes of free money at each of the platform's accounts at rails (decision
0013). An account below zero spends other clients' money (domain/escrow.md 2.11, edge case 45):
people are alerted and payouts of the currency stop until it is covered.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from kernel.commands import Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.money import MAX_MINOR, exponent, to_json
from kernel.principals import SYSTEM, PrincipalKind
from ledger.model import Draft
from ledger.service import kind_balances
from payouts import store, store_treasury
from payouts.desk import post_facts
from payouts.model_settlement import Mode, Position, ProcessorPosition, Settlement, Way
from payouts.model_treasury import PayoutStop, SetTreasury, TreasuryRule
from payouts.refusals import OperatorOnly
from payouts.refusals_treasury import BadFloor, RuleStands
from payouts.rules_settlement import default_mode
from rails.capabilities import CAPABILITIES, capabilities_of
from rails.model import OperationKind, RailAccount

RAIL_ACCOUNT: Final = "simulated"
"""Subject of `custody.processor_*` where nothing else is configured."""

AVAILABLE: Final = "custody.processor_available"
PENDING: Final = "custody.processor_pending"
RESERVED: Final = "custody.processor_reserved"

PLATFORM_BANK: Final = RailAccount.PLATFORM_BANK.value
"""Names the platform's own bank among what is short."""

_READ: Final = (
    "custody.refund_in_transit",
    "custody.payout_in_transit",
    "custody.due_to_platform",
    "custody.due_from_platform",
    "custody.bank",
    "platform.bank",
)
"""What is promised is read before what it is paid from: paid in between, it counts twice."""


@dataclass(frozen=True, slots=True)
class Read:
    """What was read for a settlement: sums by kind, money at rails, promises, the rows."""

    sums: Mapping[str, Mapping[str, int]]
    available: Mapping[str, Mapping[str, int]]
    refunds: Mapping[tuple[str, str], int]
    payouts: Mapping[tuple[str, str], int]
    rules: Mapping[tuple[str, str | None], TreasuryRule]


def read(connection: Connection, at: datetime) -> Read:
    """Read what settlements look at, promises first."""
    refunds = store_treasury.sum_promised(connection, [OperationKind.REFUND.value])
    # Also those that wait for it: where its money has landed, none could be sent otherwise.
    payouts = store.sum_promised(connection)
    sums = {kind: kind_balances(connection, kind) for kind in _READ[:2]}
    available = store_treasury.list_there(connection, [AVAILABLE])[AVAILABLE]
    sums |= {kind: kind_balances(connection, kind) for kind in _READ[2:]}
    rules = store_treasury.list_rules(connection, at)
    return Read(
        sums=sums,
        available=available,
        refunds=refunds,
        payouts={(currency, rail): minor for (rail, currency), minor in payouts.items()},
        rules={(rule.rail_account, rule.currency): rule for rule in rules},
    )


def positions(found: Read, moving: Mapping[str, Mapping[Way, int]]) -> list[Position]:
    """Where every currency stands."""
    currencies = {currency for balances in found.sums.values() for currency in balances}
    currencies |= set(found.available)
    return [_position(currency, found, moving.get(currency, {})) for currency in sorted(currencies)]


def below_zero(connection: Connection) -> dict[tuple[str, str], int]:
    """By how much accounts of ours at rails are below zero, by (rail account, currency)."""
    there = store_treasury.list_there(connection, [AVAILABLE])[AVAILABLE]
    return {
        (rail_account, currency): -minor
        for currency, balances in there.items()
        for rail_account, minor in balances.items()
        if minor < 0
    }


def stops_differ(connection: Connection) -> bool:
    """Whether what is short by now is not what payouts are stopped for."""
    standing = store_treasury.list_stops(connection)
    return {(each.rail_account, each.currency) for each in standing} != set(below_zero(connection))


def watch(connection: Connection, settlements: Sequence[Settlement], at: datetime) -> list[Draft]:
    """The events of a settlement that people must know of; stops are placed and lifted with them.

    An account below zero stops payouts; covered, they go on. What the platform owes and cannot
    bring, and what processors lack for their promises, is told with each settlement.
    """
    below = below_zero(connection)
    standing = {
        (each.rail_account, each.currency): each for each in store_treasury.list_stops(connection)
    }
    new = [
        PayoutStop(new_id(), *key, minor, at)
        for key, minor in sorted(below.items())
        if key not in standing
    ]
    over = [stop for key, stop in sorted(standing.items()) if key not in below]
    store_treasury.add_stops(connection, new)
    store_treasury.lift_stops(connection, [stop.id for stop in over], at)
    drafts = [_told("treasury.payouts_stopped", stop, at) for stop in new]
    drafts += [_told("treasury.payouts_go_on", stop, at) for stop in over]
    return drafts + [draft for each in settlements for draft in _shorts(each, at)]


def set_treasury(
    connection: Connection, commands: Sequence[SetTreasury], *, at: datetime
) -> list[Outcome]:
    """Say what becomes of free money at an account from a time on; a row never changes.

    Refuses with `payouts.operator_only`, `rail.unknown`, `money.unknown_currency`,
    `treasury.bad_floor`, `treasury.rule_stands`.
    """
    outcomes: list[Outcome] = []
    drafts: list[Draft] = []
    for command in commands:
        try:
            rule = _checked(command, at)
            if not store_treasury.add_rule(connection, rule):
                raise RuleStands(
                    rail_account=rule.rail_account, valid_from=rule.valid_from.isoformat()
                )
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        facts = rule_facts(rule)
        drafts.append(Draft("treasury.set", "", command.actor, at, detail=facts))
        outcomes.append(done(**facts))
    post_facts(connection, drafts)
    return outcomes


def rule_facts(rule: TreasuryRule) -> dict[str, object]:
    """A row as the API shows it."""
    floor = to_json(rule.floor_minor, rule.currency) if rule.currency else None
    return {
        "rail_account": rule.rail_account,
        "currency": rule.currency,
        "mode": rule.mode.value,
        "floor": floor,
        "valid_from": rule.valid_from.isoformat(),
    }


def _position(currency: str, found: Read, way: Mapping[Way, int]) -> Position:
    refunds = {rail: minor for (code, rail), minor in found.refunds.items() if code == currency}
    promised = {
        rail: minor
        for (code, rail), minor in found.payouts.items()
        if code == currency and _pays_itself(rail)
    }
    refunds_minor = -found.sums["custody.refund_in_transit"].get(currency, 0)
    payouts_minor = -found.sums["custody.payout_in_transit"].get(currency, 0)
    # What no operation names yet is promised all the same.
    refunds[RAIL_ACCOUNT] = refunds.get(RAIL_ACCOUNT, 0) + max(
        0, refunds_minor - sum(refunds.values())
    )
    available = found.available.get(currency, {})
    names = set(available) | set(refunds) | set(promised) | {at for _, _, at in way if at}
    return Position(
        currency=currency,
        due_to_platform_minor=-found.sums["custody.due_to_platform"].get(currency, 0),
        due_from_platform_minor=found.sums["custody.due_from_platform"].get(currency, 0),
        processors=tuple(
            ProcessorPosition(
                rail_account=name,
                available_minor=available.get(name, 0),
                refunds_minor=refunds.get(name, 0),
                payouts_minor=promised.get(name, 0),
                mode=rule.mode if rule else default_mode(CAPABILITIES[name]),
                floor_minor=rule.floor_minor if rule else 0,
            )
            for name in sorted(names)
            if name in CAPABILITIES
            for rule in (found.rules.get((name, currency)) or found.rules.get((name, None)),)
        ),
        bank_minor=found.sums["custody.bank"].get(currency, 0),
        platform_bank_minor=found.sums["platform.bank"].get(currency, 0),
        payouts_minor=max(0, payouts_minor - sum(promised.values())),
        under_way=way,
    )


def _pays_itself(rail: str) -> bool:
    able = CAPABILITIES.get(rail)
    return able is not None and not able.separate_payout


def _shorts(settlement: Settlement, at: datetime) -> list[Draft]:
    currency = settlement.currency
    details: list[tuple[str, dict[str, object]]] = []
    if settlement.shortfall_minor:
        owed = to_json(settlement.shortfall_minor, currency)
        details.append(("treasury.platform_short", {"owed": owed}))
    details += [
        ("treasury.processor_short", {"rail_account": name, "lacks": to_json(minor, currency)})
        for name, minor in settlement.short_at.items()
    ]
    return [
        Draft(kind, f"treasury:{currency}", SYSTEM, at, detail=detail) for kind, detail in details
    ]


def _told(kind: str, stop: PayoutStop, at: datetime) -> Draft:
    detail = {
        "rail_account": stop.rail_account,
        "shortfall": to_json(stop.shortfall_minor, stop.currency),
        "stopped_at": stop.stopped_at.isoformat(),
    }
    return Draft(kind, f"rail_account:{stop.rail_account}", SYSTEM, at, detail=detail)


def _checked(command: SetTreasury, at: datetime) -> TreasuryRule:
    if not (command.actor.is_operator or command.actor.kind is PrincipalKind.SYSTEM):
        raise OperatorOnly(rail_account=command.rail_account[:64])
    able = capabilities_of(command.rail_account)
    if command.currency is not None:
        exponent(command.currency)
    has_floor = command.currency is not None or command.floor_minor == 0
    if not has_floor or not 0 <= command.floor_minor <= MAX_MINOR:
        raise BadFloor(floor_minor=command.floor_minor, currency=command.currency)
    return TreasuryRule(
        able.rail_account,
        command.currency,
        Mode(command.mode),
        command.floor_minor,
        command.valid_from or at,
        command.actor.principal_id,
    )


def at_rails(connection: Connection) -> dict[str, dict[str, dict[str, int]]]:
    """Signed balances at our own accounts at rails: kind, currency, rail account."""
    found = store_treasury.list_there(connection, [PENDING, AVAILABLE, RESERVED])
    return {kind: defaultdict(dict, balances) for kind, balances in found.items()}
