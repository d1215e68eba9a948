"""What the tax on our fees refuses."""

from kernel.errors import Refusal


class TaxOperatorOnly(Refusal):
    """Only an operator of the tenant sets who supplies, and stores what registers say."""

    code = "tax.operator_only"


class BadProfile(Refusal):
    """The profile cannot be meant as it is written."""

    code = "tax.bad_profile"


class BadNumber(Refusal):
    """The tax number is none of its country: its syntax or check digits are wrong."""

    code = "tax.bad_number"


class TooEarly(Refusal):
    """A profile is in force from a day on whose rates are known, and not before the last one."""

    code = "tax.too_early"


class NoNumber(Refusal):
    """The party has no tax number that could be checked."""

    code = "tax.no_number"


class BadCheck(Refusal):
    """A check names its consultation, and no time that is still to come."""

    code = "tax.bad_check"


class NothingToCredit(Refusal):
    """No fee of that time bore a tax that the check would have spared."""

    code = "tax.nothing_to_credit"


class NotProved(Refusal):
    """No valid check of the party's number says that it was valid before."""

    code = "tax.not_proved"


class RegisterSilent(Refusal):
    """The register does not answer; until it does, the tax is charged, and credited later."""

    code = "tax.register_silent"


class RegisterOff(Refusal):
    """No register is configured for numbers of this country."""

    code = "tax.register_off"
