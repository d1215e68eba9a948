"""What a readout says, against a plain count of every contract in Python."""

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from math import isclose
from statistics import fmean, variance
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from commissions.experiments import WHOLE_BPS
from commissions.model_experiments import UnitKind, readout_as_json
from commissions.service_experiments import Unit
from commissions.service_experiments_desk import readout
from kernel.money import EXPONENTS
from tests.commissions.books import START
from tests.commissions.trials import accept, named, pair, propose, settle, started
from tests.escrow.stage_claims import send_back
from tests.escrow.stage_dispute import Court

CURRENCIES = ("EUR", "JPY", "KWD")
DAY = timedelta(days=1)
QUANTILE = 1.959963984540054


@dataclass
class Seen:
    """A unit as the test drove it."""

    arm: str
    contracts: int = 0
    disputed: bool = False
    released: bool = False
    revenue: dict[str, int] = field(default_factory=dict)


def arm_of(key: str) -> str:
    """The arm of a unit of `launch`, reckoned once more: 40 % control, 40 % low, the rest out."""
    place = int(hashlib.sha256(f"launch\0{key}".encode()).hexdigest()[:16], 16)
    return next(
        arm
        for arm, end in (("control", 4_000), ("low", 8_000), ("holdout", WHOLE_BPS))
        if place * WHOLE_BPS < end << 64
    )


def drive(connection: Connection, units: dict[str, Unit]) -> dict[str, Seen]:
    """A different life for each unit, by its place: what it came to."""
    seen: dict[str, Seen] = {}
    for place, (key, unit) in enumerate(units.items()):
        of_unit = seen.setdefault(key, Seen(arm_of(key)))
        for turn in range(1 + place % 3 % 2):
            currency = CURRENCIES[(place // 3 + turn) % 3]
            stage = propose(connection, unit, currency=currency, amount_minor=7_001 + 913 * place)
            arms = accept(connection, stage)
            assert arms == frozenset({f"launch/{of_unit.arm}"})
            of_unit.contracts += 1
            of_unit.revenue.setdefault(currency, 0)
            if place % 7 == 6:
                continue
            assert stage.fund().is_done
            assert stage.submit().is_done
            if place % 5 == 4:
                assert Court(stage).open().is_done
                of_unit.disputed = True
                continue
            assert stage.approve().is_done
            of_unit.released = True
            if place % 4 == 3:
                assert stage.wait()
                assert send_back(stage, 5_000).is_done
    return seen


def add_revenue(connection: Connection, units: dict[str, Unit], seen: dict[str, Seen]) -> None:
    """Every line of fees, one by one."""
    keys = {(unit.client_id, unit.payee_id): key for key, unit in units.items()}
    lines = connection.exec_driver_sql(
        "SELECT client_id, payee_id, currency, fee_minor FROM fee_line"
    ).all()
    for client_id, payee_id, currency, fee_minor in lines:
        seen[keys[client_id, payee_id]].revenue[currency] += fee_minor
    assert any(line.fee_minor < 0 for line in lines)


def close(found: Decimal, wanted: float) -> bool:
    return isclose(float(found), wanted, rel_tol=1e-9, abs_tol=1e-9)


def check_means(found: Any, these: list[int], those: list[int]) -> None:
    """Welch's interval from every single figure."""
    if len(these) < 2:
        assert found == (None, None)
        return
    half = QUANTILE * (variance(these) / len(these)) ** 0.5
    assert close(found.figure.value, fmean(these))
    assert close(found.figure.high - found.figure.value, half)
    if len(those) < 2:
        assert found.above_control is None
        return
    half = QUANTILE * (variance(these) / len(these) + variance(those) / len(those)) ** 0.5
    assert close(found.above_control.value, fmean(these) - fmean(those))
    assert close(found.above_control.value - found.above_control.low, half)


def test_a_readout_is_what_a_plain_count_says(connection: Connection) -> None:
    """Revenue by currency, repeats, disputes, silence: every figure of every arm, three ways out.

    The units are the same in every run, with contracts in yen, euro and dinar, some given back.
    """
    which = started(connection)
    units = {f"{each.client_id}:{each.payee_id}": each for each in map(pair, range(45))}
    settle(connection, list(units.values()))
    seen = drive(connection, units)
    add_revenue(connection, units, seen)

    found = readout(connection, which, at=START + 61 * DAY)

    assert found is not None
    study, arms, would_stop = found
    assert would_stop is None
    assert [each.arm for each in arms] == ["control", "low", "holdout"]
    by_arm: dict[str, list[Seen]] = defaultdict(list)
    for each in seen.values():
        by_arm[each.arm].append(each)
    for told in arms:
        mine = by_arm[told.arm]
        had_time = [each for each in mine if each.released]
        assert told.units == len(mine) > 4
        for compared, number, of in (
            (told.repeated, sum(each.contracts > 1 for each in mine), len(mine)),
            (told.disputed, sum(each.disputed for each in mine), len(mine)),
            (told.quiet, sum(each.contracts == 1 for each in had_time), len(had_time)),
        ):
            assert compared.figure is not None
            assert close(compared.figure.value, number / of)
        assert list(told.revenue) == list(CURRENCIES)
        for currency, compared in told.revenue.items():
            these, those = (
                [each.revenue[currency] for each in arm if currency in each.revenue]
                for arm in (mine, by_arm["control"])
            )
            check_means(compared, these, those)
    shown = readout_as_json(study, arms, would_stop)
    assert shown["arms"][0]["units"] == len(by_arm["control"])
    of_low = {row["currency"]: row for row in shown["arms"][1]["net_revenue_per_unit"]}
    for currency in CURRENCIES:
        value = of_low[currency]["figure"]["value"]
        assert len(value.partition(".")[2]) == EXPONENTS[currency] + 2


def test_who_had_no_time_yet_is_not_quiet(connection: Connection) -> None:
    """A day before the 60 days are over nobody is quiet; then whoever came once is."""
    which = started(connection)
    unit = pair(1)
    settle(connection, [unit])
    stage = propose(connection, unit)
    (arm,) = accept(connection, stage)
    assert stage.fund().is_done
    assert stage.submit().is_done
    assert stage.approve().is_done

    for days, is_quiet in ((59, False), (60, True)):
        found = readout(connection, which, at=stage.now + days * DAY)
        assert found is not None
        (told,) = [each for each in found[1] if f"launch/{each.arm}" == arm]
        assert (told.quiet.figure is not None) == is_quiet


def test_a_client_counts_once_with_all_of_his_payees(connection: Connection) -> None:
    """Where the unit is the client, two payees are two contracts of one unit."""
    which = started(connection, "house", unit=UnitKind.CLIENT)
    clients = [named(f"client {number}") for number in range(6)]
    units = [Unit(client, named(f"payee {n}")) for client in clients for n in range(2)]
    settle(connection, units)
    arms: dict[UUID, frozenset[str]] = {}
    for unit in units:
        arms[unit.client_id] = accept(connection, propose(connection, unit))

    found = readout(connection, which, at=START)

    assert found is not None
    counted = Counter(arm for each in arms.values() for arm in each)
    assert {f"house/{each.arm}": each.units for each in found[1] if each.units} == counted
    for each in found[1]:
        assert each.repeated.figure is None or each.repeated.figure.value == 1


def test_an_experiment_without_units_is_read_out(connection: Connection) -> None:
    """Nothing is known yet, and that is said."""
    found = readout(connection, started(connection), at=START)

    assert found is not None
    assert [(each.units, each.disputed) for each in found[1]] == [(0, (None, None))] * 3
    shown = readout_as_json(*found)
    assert shown["arms"][1]["dispute_share"] == {"figure": None, "above_control": None}
    assert readout(connection, named("nothing"), at=START) is None
