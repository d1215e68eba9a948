"""What breaks and certificates refuse: one class per rule, each with its stable code."""

from kernel.errors import Refusal


class DayNotOver(Refusal):
    """A day that has not begun cannot be certified."""

    code = "certificate.day_not_over"


class UnknownCertificate(Refusal):
    """No certificate has this id."""

    code = "certificate.unknown"


class PeopleSign(Refusal):
    """A certificate is signed by a person."""

    code = "certificate.people_sign"


class NeedsAnother(Refusal):
    """A certificate that is not clean is signed by another than made it, with a remark."""

    code = "certificate.needs_another"


class SignedAlready(Refusal):
    """This person has signed the certificate before."""

    code = "certificate.signed_already"


class UnknownBreak(Refusal):
    """No break has this id."""

    code = "break.unknown"


class BreakClosed(Refusal):
    """The break is resolved or written off."""

    code = "break.closed"


class SaySomething(Refusal):
    """A comment, an explanation or a write-off needs words."""

    code = "break.says_nothing"


class AboveLimit(Refusal):
    """More than may be written off from here: a manual journal is needed."""

    code = "write_off.above_limit"


class WriteOffOpen(Refusal):
    """A write-off of this break was proposed before."""

    code = "write_off.proposed_already"


class UnknownWriteOff(Refusal):
    """No write-off has this id."""

    code = "write_off.unknown"


class WriteOffDecided(Refusal):
    """The write-off was decided before."""

    code = "write_off.decided_already"


class OtherPerson(Refusal):
    """A write-off is decided by another person than proposed it."""

    code = "write_off.other_person"


class PeopleDecide(Refusal):
    """A write-off is proposed and decided by people."""

    code = "write_off.people_decide"


class NoHour(Refusal):
    """An hour is from 0 to 23."""

    code = "safeguarding.no_such_hour"
