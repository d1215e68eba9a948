"""Reports as files: every balance transaction of an account, or its payouts, as Stripe's CSV.

Amounts in reports are major units with the currency's decimals, unlike everywhere else.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from tests.doubles.frame import Response
from tests.doubles.stripe_double.money import decimals
from tests.doubles.stripe_double.trouble import StripeError, missing, not_played
from tests.doubles.stripe_double.world import PLATFORM, Obj, World, page_of

BALANCE: Final = (
    "balance_transaction_id created_utc created available_on_utc available_on currency gross fee"
    " net reporting_category source_id description automatic_payout_id connected_account_id"
).split()
PAYOUTS: Final = (
    "payout_id effective_at_utc effective_at currency gross fee net reporting_category"
    " balance_transaction_id description payout_expected_arrival_date payout_status"
    " payout_reversed_at_utc payout_reversed_at payout_type payout_destination_id trace_id"
    " trace_id_status"
).split()


class Reports:
    """What Stripe does with report runs; they are done at once."""

    def __init__(self, world: World) -> None:
        """Files are kept by id."""
        self.world = world
        self._files: dict[str, bytes] = {}

    def create(self, account: str, params: Obj) -> Obj:
        """A report over a time of an account (`connected_account`, else our own)."""
        asked, kind = params.get("parameters", {}), params["report_type"]
        file_id = self.world.new_id("file", "file")
        start, end = asked.get("interval_start", 0), asked.get("interval_end", self.world.stamp)
        about = asked.get("connected_account", account)
        self._files[file_id] = self.csv(kind, about, start=start, end=end)
        shown = self.world.add(account, self._file(file_id))
        run: Obj = {
            "id": self.world.new_id("reporting.report_run", "frr"),
            "object": "reporting.report_run",
            "created": self.world.stamp,
            "error": None,
            "livemode": False,
            "parameters": asked,
            "report_type": kind,
            "result": shown,
            "status": "succeeded",
            "succeeded_at": self.world.stamp,
        }
        self.world.add(account, run)
        self.world.emit(account, "reporting.report_run.succeeded", run)
        return run

    def _file(self, file_id: str) -> Obj:
        return {
            "id": file_id,
            "object": "file",
            "created": self.world.stamp,
            "expires_at": None,
            "filename": f"{file_id}.csv",
            "links": page_of([], f"/v1/file_links?file={file_id}"),
            "purpose": "finance_report_run",
            "size": len(self._files[file_id]),
            "title": None,
            "type": "csv",
            "url": f"/v1/files/{file_id}/contents",
        }

    def contents(self, path: str) -> Response:
        """A file as it is fetched from its address; StripeError (404) if there is none."""
        file_id = path.removeprefix("/v1/files/").removesuffix("/contents")
        if file_id not in self._files:
            raise missing("file", file_id)
        return Response(200, self._files[file_id], {"content-type": "text/csv"})

    def csv(self, kind: str, account: str, *, start: int, end: int) -> bytes:
        """The rows from a time (included) to another (excluded), both as Stripe writes times."""
        if end <= start:
            raise StripeError(400, message="The interval is empty.", param="parameters")
        ledger = self.world.ledger(account)
        txns = [
            txn
            for txn in ledger.all_of("balance_transaction")
            if start <= txn["created"] < end and txn["balance_type"] == "payments"
        ]
        base = kind.removeprefix("connected_account_").rpartition(".itemized.")[0]
        if base == "balance_change_from_activity":
            return _csv(BALANCE, (_balance_row(txn, account) for txn in txns))
        if base == "payouts":
            moved = [txn for txn in txns if txn["type"].startswith("payout")]
            rows = (_payout_row(txn, ledger.objects[txn["source"]]) for txn in moved)
            return _csv(PAYOUTS, rows)
        raise not_played(f"the report {kind}")


def _csv(columns: list[str], rows: Iterable[Mapping[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _balance_row(txn: Obj, account: str) -> dict[str, str]:
    return {
        **_times("created", txn["created"]),
        **_times("available_on", txn["available_on"]),
        **_amounts(txn, sign=1),
        "balance_transaction_id": txn["id"],
        "source_id": txn["source"] or "",
        "description": txn["description"] or "",
        "connected_account_id": "" if account == PLATFORM else account,
    }


def _payout_row(txn: Obj, payout: Obj) -> dict[str, str]:
    """A payout is shown as what arrives: with the other sign than on the balance."""
    trace = payout["trace_id"]
    row = {
        **_times("effective_at", txn["created"]),
        **_amounts(txn, sign=-1),
        "payout_id": payout["id"],
        "balance_transaction_id": txn["id"],
        "payout_expected_arrival_date": _time(payout["arrival_date"]),
        "payout_status": payout["status"],
        "payout_type": payout["type"],
        "payout_destination_id": payout["destination"],
        "trace_id": trace["value"] or "",
        "trace_id_status": trace["status"],
    }
    if txn["amount"] > 0:
        row |= _times("payout_reversed_at", txn["created"])
    return row


def _amounts(txn: Obj, *, sign: int) -> dict[str, str]:
    currency = txn["currency"]
    return {
        "currency": currency,
        "gross": _major(sign * txn["amount"], currency),
        "fee": _major(txn["fee"], currency),
        "net": _major(sign * txn["net"], currency),
        "reporting_category": txn["reporting_category"],
    }


def _major(minor: int, currency: str) -> str:
    return str(Decimal(minor).scaleb(-decimals(currency)))


def _times(name: str, stamp: int) -> dict[str, str]:
    return {f"{name}_utc": _time(stamp), name: _time(stamp)}


def _time(stamp: int) -> str:
    return datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%d %H:%M:%S")
