"""What is refused of worked hours: one class per rule, each with its stable code."""

from kernel.errors import Refusal


class UnknownTerm(Refusal):
    """There is no hourly term with this id."""

    code = "escrow.unknown_term"


class UnknownWeek(Refusal):
    """There is no worked week with this id."""

    code = "escrow.unknown_week"


class UnknownEntry(Refusal):
    """There is no time entry with this id."""

    code = "escrow.unknown_entry"


class BadHours(Refusal):
    """A rate, a limit, a zone or a floor of an hourly term is outside its range."""

    code = "escrow.bad_hours"


class BadEntry(Refusal):
    """A time entry is in whole minutes, at most 24 hours, past, and under a running term."""

    code = "escrow.bad_entry"


class HoursOverlap(Refusal):
    """The payee has logged some of these hours already, under this term or another."""

    code = "escrow.hours_overlap"


class RateOnlyRises(Refusal):
    """The client may raise a rate by himself; a lower one is a new term, which both sign."""

    code = "escrow.rate_only_rises"
