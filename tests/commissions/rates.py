"""Rates for the tests of whatever converts: a few of one day, as the central bank gives them."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection

PER_EURO: Final[Mapping[str, str]] = MappingProxyType(
    {"USD": "1.1000", "JPY": "160.50", "KWD": "0.33815", "GBP": "0.85000", "INR": "91.2500"}
)


def stand_rates(
    connection: Connection, on: date, per_euro: Mapping[str, str] = PER_EURO, *, source: str = "ecb"
) -> None:
    """Write the mid rates of one day, for one euro each."""
    for currency, rate in per_euro.items():
        connection.exec_driver_sql(
            "INSERT INTO fx_rate (provider, kind, sold, bought, as_of, rate, source, taken_at)"
            " VALUES (%s, 'mid', 'EUR', %s, %s, %s, 'a test', now())",
            (source, currency, on, Decimal(rate)),
        )
