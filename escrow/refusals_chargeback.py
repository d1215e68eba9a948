"""What chargebacks refuse: one class per rule, each with its stable code."""

from kernel.errors import Refusal


class UnknownChargeback(Refusal):
    """There is no chargeback with this id."""

    code = "chargeback.unknown"


class PaymentOpen(Refusal):
    """A bank claims a payment back of which we have not heard that it was made."""

    code = "chargeback.payment_open"


class PayeeNotHeard(Refusal):
    """Evidence goes out only after the payee answered, or was told and had his time."""

    code = "chargeback.payee_not_heard"


class TooLate(Refusal):
    """The bank's own deadline is over."""

    code = "chargeback.too_late"


class BadStatement(Refusal):
    """A statement names a document, and its SHA-256 in 64 hexadecimal digits if it has one."""

    code = "chargeback.bad_statement"
