"""What clocks, notices and reserves refuse: one class per rule, each with its stable code."""

from kernel.errors import Refusal


class UnknownClock(Refusal):
    """There is no clock of this kind on this subject, or none that concerns this party."""

    code = "clock.unknown"


class BadNotice(Refusal):
    """A notice names its channel and its proof, and was given in the past."""

    code = "clock.bad_notice"


class ClockNotYours(Refusal):
    """Only an operator says how clocks run; a party vouches for itself alone."""

    code = "clock.not_yours"


class InPersonOnly(Refusal):
    """How clocks run is decided by people, not by programs."""

    code = "clock.in_person_only"


class BadClockRules(Refusal):
    """A rule lies outside of what clocks can keep."""

    code = "clock.bad_rules"
