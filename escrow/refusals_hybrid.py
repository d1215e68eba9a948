"""What term amendments refuse: one class per rule, each with its stable code."""

from kernel.errors import Refusal


class UnknownTermAmendment(Refusal):
    """There is no such term amendment."""

    code = "term.unknown_amendment"


class AmendmentOpen(Refusal):
    """One amendment of a term at a time: sign, reject or withdraw the one there is."""

    code = "term.amendment_open"


class BadPrice(Refusal):
    """The price is out of range, does not fit the retainer's kind, or is the present one."""

    code = "term.bad_price"


class TermOver(Refusal):
    """The term does not run: it was never signed, or has ended."""

    code = "term.over"


class OnlyOfferer(Refusal):
    """Only the side that offered an amendment withdraws it."""

    code = "term.only_offerer"
