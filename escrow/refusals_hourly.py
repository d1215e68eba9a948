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


class UnknownLine(Refusal):
    """The week's invoice has no such line."""

    code = "escrow.unknown_line"


class UnknownLineDispute(Refusal):
    """There is no disputed line with this id."""

    code = "escrow.unknown_line_dispute"


class LineDisputedAlready(Refusal):
    """A line is disputed once."""

    code = "escrow.line_disputed_already"


class BadRefund(Refusal):
    """What goes back of a line is zero to all that is frozen of it."""

    code = "escrow.bad_refund"


class LineInPerson(Refusal):
    """People decide on a contested line, not programs."""

    code = "escrow.line_in_person"


class LineNotProposed(Refusal):
    """Nobody has proposed what shall become of the line."""

    code = "escrow.line_not_proposed"


class LineSamePerson(Refusal):
    """Who proposed does not approve."""

    code = "escrow.line_same_person"


class LoggingPaused(Refusal):
    """The client's payment failed: nothing is logged that was worked since, until it is made."""

    code = "escrow.logging_paused"


class RunsAlready(Refusal):
    """The payee's time runs already, under this term or another."""

    code = "escrow.runs_already"


class UnknownRun(Refusal):
    """There is no run with this id."""

    code = "escrow.unknown_run"


class RefundTooLate(Refusal):
    """What a week paid is given back within half a year; later by an operator, with agreement."""

    code = "escrow.refund_too_late"
