"""The words of what fee schedules, rates of exchange and the tax on our fee refuse.

Each is (HTTP status, title, detail), and becomes `engine.refusals.Words`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from engine.refusals_exchange import EXCHANGE
from engine.refusals_experiments import EXPERIMENTS
from engine.refusals_fees import FEES
from engine.refusals_plans import PLANS
from engine.refusals_tax import TAX

PRICES: Final[Mapping[str, tuple[int, str, str]]] = MappingProxyType(
    {
        **FEES,
        **EXPERIMENTS,
        **PLANS,
        **EXCHANGE,
        **TAX,
        "fees.net_out_of_reach": (
            422,
            "Net out of reach",
            "No amount that we keep books of leaves {net_minor} minor units after the fee.",
        ),
        "fees.bad_schedule": (
            422,
            "Bad fee schedule",
            "The schedule cannot be meant as it is written: {why}.",
        ),
        "fees.above_amount": (
            422,
            "Fee above the amount",
            "A rate of {rate_bps} basis points takes more than the payment itself.",
        ),
        "fees.bad_experiment": (
            422,
            "Bad experiment",
            "The experiment is not what it needs to be: {why}.",
        ),
        "fees.tie": (
            409,
            "Two schedules tie",
            "Schedule {other} fits the same deals with equal right: give one a priority.",
        ),
        "fees.overlap": (
            409,
            "Schedules overlap",
            "Schedule {other} has this scope at the same time.",
        ),
        "fees.no_schedule": (
            409,
            "No fee schedule",
            "No schedule of the {side} is for this deal in {currency}.",
        ),
        "fx.zero_rate": (422, "No rate", "A rate of exchange is above zero; this one is {rate}."),
        "fx.stale_rate": (
            409,
            "Rate too old",
            "The newest rate of {source} is of {as_of}, more than three business days ago.",
        ),
        "fx.too_small": (
            422,
            "Amount too small",
            "{amount_minor} minor units of {currency} buy nothing.",
        ),
        "fx.too_much": (
            422,
            "Amount too large",
            "{amount_minor} minor units of {currency} come to more than we keep books of.",
        ),
        "fx.bad_address": (
            422,
            "Not an address of rates",
            "Rates are read over HTTPS, or from this machine.",
        ),
        "fx.not_rates": (422, "No file of rates", "The file has no rates to be read: {why}."),
        "vat.not_enough_evidence": (
            409,
            "Not enough evidence",
            "Two kinds of evidence that agree say where a buyer is; there is {found}.",
        ),
        "vat.no_rate": (409, "No rate of tax", "No rate of {country} is known for {on}."),
        "vat.not_decided": (
            409,
            "Place not decided",
            "Where an intermediary's service to a consumer in {country} is taxed is not decided.",
        ),
        "fees.bad_quote": (422, "Bad question", "No price can be told: {why}."),
        "extract.bad_month": (422, "Bad month", "A month is written 2026-10; {month} is none."),
        "extract.too_long_for_paper": (
            422,
            "Too long for paper",
            "The extract has {line_count} lines, and paper takes {longest}: ask for CSV.",
        ),
    }
)
