"""What treasury, dormancy, blocked money and wallets refuse: one class per rule."""

from kernel.errors import Refusal


class BadFloor(Refusal):
    """A floor is zero or more minor units of one currency."""

    code = "treasury.bad_floor"


class RuleStands(Refusal):
    """Another row counts from this very time, and rows never change."""

    code = "treasury.rule_stands"
