"""The bytes of a file of payments: pain.001 for SEPA, a payment list for other currencies.

The same payments give the same bytes, so that a file is written again and never kept: nothing of
what it names stands open anywhere.
"""

import csv
import io
from collections.abc import Sequence
from datetime import date, datetime

from sepaxml import SepaTransfer  # type: ignore[import-untyped]
from sepaxml.validation import ValidationError  # type: ignore[import-untyped]

from kernel.money import format_minor
from rails.bank.model import AccountDetails, BankFile, FileFormat, Payment
from rails.bank.refusals import CannotWrite


def write(file: BankFile, payments: Sequence[Payment], payer: AccountDetails) -> bytes:
    """The file; refuses `bank.cannot_write` where its format does not take a payment."""
    if file.format is FileFormat.CSV:
        return _payment_list(file, payments)
    return _sepa(file, payments, payer)


class _Transfer(SepaTransfer):  # type: ignore[misc]  # an untyped package
    """The package's file under our own name and time; it would make up both."""

    def __init__(self, file: BankFile, payer: AccountDetails) -> None:
        self._file = file
        config = {"name": payer.name, "IBAN": payer.iban, "currency": "EUR", "batch": True}
        if payer.bic:
            config["BIC"] = payer.bic
        super().__init__(config, schema=file.format.value, clean=True)

    def _create_header(self) -> None:
        self.msg_id = self._file.message_id
        super()._create_header()
        for node in self._xml.iter("CreDtTm"):
            node.text = _second(self._file.made_at)

    def _finalize_batch(self) -> None:
        super()._finalize_batch()
        for number, node in enumerate(self._xml.iter("PmtInfId"), start=1):
            node.text = f"{self._file.message_id[:32]}-{number}"


def _sepa(file: BankFile, payments: Sequence[Payment], payer: AccountDetails) -> bytes:
    made = _Transfer(file, payer)
    for payment in payments:
        made.add_payment(_payment(payment, file.execute_on))
    try:
        written: bytes = made.export(validate=True)
    except ValidationError:
        # The package names the value that is wrong, and it may be somebody's account.
        raise CannotWrite(format=file.format.value, orders=len(payments)) from None
    return written


def _payment(payment: Payment, on: date) -> dict[str, object]:
    told: dict[str, object] = {
        "name": payment.to.name,
        "IBAN": payment.to.iban,
        "amount": payment.amount_minor,
        "execution_date": on,
        "description": f"Payout {payment.end_to_end_id}",
        "endtoend_id": payment.end_to_end_id,
    }
    return {**told, "BIC": payment.to.bic} if payment.to.bic else told


def _payment_list(file: BankFile, payments: Sequence[Payment]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(
        (
            *("message_id", "execute_on", "end_to_end_id"),
            *("name", "account", "bank_code", "amount", "currency"),
        )
    )
    writer.writerows(
        (
            *(file.message_id, file.execute_on.isoformat(), payment.end_to_end_id),
            *(_text(payment.to.name), payment.to.iban, payment.to.bic),
            *(format_minor(payment.amount_minor, file.currency), file.currency),
        )
        for payment in payments
    )
    return out.getvalue().encode()


def _text(name: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{name}" if name[:1] in {"=", "+", "-", "@"} else name


def _second(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S")
