"""What the keepers of fee schedules are refused."""

from kernel.errors import Refusal


class FeesFinanceOnly(Refusal):
    """Fee schedules are prepared and approved by people with the finance right."""

    code = "fees.finance_only"


class UnknownSchedule(Refusal):
    """There is no such fee schedule."""

    code = "fees.unknown_schedule"


class UnknownEnding(Refusal):
    """There is no such end of a fee schedule."""

    code = "fees.unknown_ending"


class UnknownMove(Refusal):
    """There is no such move of contracts."""

    code = "fees.unknown_move"


class FeesDecided(Refusal):
    """What is asked for was decided already, or was not approved yet."""

    code = "fees.wrong_state"


class SamePerson(Refusal):
    """Who prepared it does not approve it."""

    code = "fees.same_person"


class ChangesThePast(Refusal):
    """A schedule begins and ends no earlier than it is approved."""

    code = "fees.changes_the_past"


class NotReplaceable(Refusal):
    """What it replaces is not its elder: of the same side, scope and priority, and in force."""

    code = "fees.not_replaceable"


class UnknownInScope(Refusal):
    """The scope names a contract or a client that there is not."""

    code = "fees.unknown_in_scope"


class NameTaken(Refusal):
    """Another schedule has this id."""

    code = "fees.id_taken"


class PromotionNamed(Refusal):
    """The deal names a promotion already, or was accepted."""

    code = "fees.promotion_named"


class UnknownPromotion(Refusal):
    """No promotion of this name is in force for deals that name it."""

    code = "fees.unknown_promotion"
