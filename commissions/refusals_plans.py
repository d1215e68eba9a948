"""What plans, products and subscriptions refuse: one class per rule, each with its stable code."""

from kernel.errors import Refusal


class NotYours(Refusal):
    """This step belongs to another role, or the thing to another party."""

    code = "plans.not_yours"


class WrongState(Refusal):
    """From this state there is no such step."""

    code = "plans.wrong_state"


class InPersonOnly(Refusal):
    """What is sold is prepared and approved by operators in person."""

    code = "plans.in_person_only"


class SecondPerson(Refusal):
    """Who prepared a version cannot approve it."""

    code = "plans.second_person"


class BadOffering(Refusal):
    """A name, a price or a length is outside its range."""

    code = "plans.bad_offering"


class UnknownOffering(Refusal):
    """There is no version with this id."""

    code = "plans.unknown_offering"


class TooLate(Refusal):
    """The time from which it should be sold is over, or a later version is approved already."""

    code = "plans.too_late"


class NotSold(Refusal):
    """No plan or product of this name is sold now, in this currency, for this time."""

    code = "plans.not_sold"


class AnotherVersion(Refusal):
    """Another version is sold now than the one that was shown."""

    code = "plans.another_version"


class Subscribed(Refusal):
    """The party has a plan: it is ended before another one begins."""

    code = "plans.subscribed"


class Running(Refusal):
    """The party has this product for this subject, and its days are not over."""

    code = "plans.running"


class OnHold(Refusal):
    """An open hold or a sanctions match stops every charge."""

    code = "plans.on_hold"


class Keeps(Refusal):
    """By its terms it runs to its end, and nothing is given back."""

    code = "plans.keeps"


class NothingLeft(Refusal):
    """Every day of it has begun: there is nothing to give back."""

    code = "plans.nothing_left"


class UnknownPlanParty(Refusal):
    """There is no party with this id."""

    code = "plans.unknown_party"


class UnknownSubscription(Refusal):
    """There is no such subscription."""

    code = "plans.unknown_subscription"


class UnknownPurchase(Refusal):
    """There is no such purchase."""

    code = "plans.unknown_purchase"


class StaleVersion(Refusal):
    """It changed since it was looked at."""

    code = "plans.stale_version"
