"""`holdfast quote`: the whole price of a payment before anyone signs."""

from typing import Any
from uuid import UUID

import click

from commissions.model import Basis
from engine.commands.frame import (
    CouldNotTell,
    database,
    in_words,
    json_option,
    print_json,
    print_table,
    refused_in_words,
    tenant_of,
    tenant_option,
)
from escrow.model import ConvertAt, Terms
from escrow.model_quote import KINDS, AskQuote
from escrow.service_quote import quote
from kernel import clock
from kernel.database import snapshot
from kernel.money import parse_minor
from kernel.principals import SYSTEM


@click.command()
@click.option("--contract", "contract_id", type=click.UUID, help="Under this contract.")
@click.option("--client", "client_id", type=click.UUID, help="Or: between this client")
@click.option("--payee", "payee_id", type=click.UUID, help="and this payee,")
@click.option("--currency", metavar="CODE", required=True, help="in this currency.")
@click.option("--kind", type=click.Choice([each.value for each in KINDS]), default="milestone")
@click.option("--amount", metavar="AMOUNT", help="A milestone, a tip, or a retainer's period.")
@click.option("--minutes", type=click.IntRange(1, 1_000_000), help="Of hours, with --rate.")
@click.option("--rate", metavar="AMOUNT", help="An hour's price.")
@click.option("--net", metavar="AMOUNT", help="What the payee shall get at least.")
@click.option("--origin", metavar="WORD", help="Where the deal is from, as marketplace.")
@click.option("--category", metavar="WORD")
@click.option("--promotion", metavar="NAME")
@click.option("--payee-currency", metavar="CODE", help="What the payee is paid in.")
@click.option(
    "--convert-at", type=click.Choice([each.value for each in ConvertAt]), help="When, then."
)
@tenant_option
@json_option
@in_words
def command(*, tenant_name: str | None, as_json: bool, **given: Any) -> None:  # noqa: ANN401  options by name
    """What the client pays, what we take with its tax, and what the payee gets, part by part.

    Under a contract, or under one that might be proposed now. Nothing is written. With --net the
    amount is found for which the payee gets at least so much, in the currency that he is paid in.
    """
    ask = _ask(given)
    with database() as opened:
        tenant = tenant_of(opened, tenant_name)
        with snapshot(opened.engine, tenant) as connection:
            (outcome,) = quote(connection, [ask], at=clock.now(connection))
    if not outcome.is_done:
        raise CouldNotTell(refused_in_words(outcome.code, outcome.facts))
    if as_json:
        print_json(dict(outcome.facts))
    else:
        _show(dict(outcome.facts))


def _ask(given: dict[str, Any]) -> AskQuote:
    """The question on the command line; refuses `money.*`."""
    currency: str = given["currency"]
    contract_id: UUID | None = given["contract_id"]

    stated = currency if given["net"] is None else given["payee_currency"] or currency

    def minor(name: str) -> int | None:
        return None if given[name] is None else parse_minor(given[name], stated)

    named = ("origin", "category", "payee_currency", "convert_at")
    terms = {name: given[name] for name in named if given[name] is not None}
    if "convert_at" in terms:
        terms["convert_at"] = ConvertAt(terms["convert_at"])
    return AskQuote(
        actor=SYSTEM,
        kind=Basis(given["kind"]),
        contract_id=contract_id,
        client_id=given["client_id"],
        payee_id=given["payee_id"],
        currency=currency if contract_id is None else None,
        terms=Terms(**terms) if terms else None,
        promotion=given["promotion"],
        stated_in=stated,
        amount_minor=minor("amount"),
        minutes=given["minutes"],
        rate_minor=minor("rate"),
        net_minor=minor("net"),
    )


def _show(found: dict[str, Any]) -> None:
    client, commission, tax = found["client"], found["commission"], found["tax"]
    rows = [("amount", _money(found["amount"]), "")]
    rows.append(("client's fee", _money(client["fee"]), f"with tax {_money(client['tax_in_fee'])}"))
    rows.append(("client pays", _money(client["pays"]), ""))
    rows += [(f"  {part['what']}", _money(part["fee"]), _of(part)) for part in commission["parts"]]
    rows.append(("commission", _money(commission["fee"]), ""))
    decided = tax["decision"]
    told = f"{decided['treatment']}, {decided['country']}" if decided else "none is charged"
    rows.append(("tax on it", _money(tax["amount"]), told))
    exchange = found["exchange"]
    if exchange is not None:
        rate = f"at {exchange['rate']}, of {exchange['source']} on {exchange['as_of']}"
        rows.append(("exchanged", _money(exchange["sold"]), rate))
    rows.append(("payee gets", _money(found["payee_gets"]), ""))
    rows.append(("of the next", _money(found["next"]["payee_gets"]), "the same amount once more"))
    if found["normal"] is not None:
        rows.append(("normally", _money(found["normal"]["payee_gets"]), "without the experiment"))
    print_table(("what", "amount", "how"), rows, right=("amount",))
    for sentence in (*found["why"], found["holds"]["fees"]["words"], found["holds"]["exchange"]):
        if sentence:
            click.echo(sentence)


def _of(part: dict[str, Any]) -> str:
    if part["rate_bps"] is None:
        return ""
    whole, rest = divmod(part["rate_bps"], 100)
    return f"{whole}.{rest:02d} % of {_money(part['on'])}"


def _money(money: dict[str, str]) -> str:
    return f"{money['amount']} {money['currency']}"
