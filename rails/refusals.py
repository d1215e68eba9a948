"""What rails refuse before anything is written: one class per rule, each with its stable code."""

from kernel.errors import Refusal


class BadSignature(Refusal):
    """A webhook whose signature does not hold, or is too old to be believed."""

    code = "rail.bad_signature"


class BadEvent(Refusal):
    """A webhook that cannot be read."""

    code = "rail.bad_event"


class AmountNotPossible(Refusal):
    """The rail cannot move this amount: too small, too large, or between its steps."""

    code = "rail.amount_not_possible"


class CurrencyNotTaken(Refusal):
    """The rail does not take this currency."""

    code = "rail.currency_not_taken"


class NotOffered(Refusal):
    """The rail has no such thing."""

    code = "rail.not_offered"


class UnknownRail(Refusal):
    """No rail of this name is set up here."""

    code = "rail.unknown"
