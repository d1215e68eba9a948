"""GET /v1/rails tells every flag that services ask."""

from dataclasses import fields

from engine.api.answers_rails import RailAnswer
from rails.model import Capabilities


def test_every_flag_of_a_rail_is_shown() -> None:
    """A flag that is added is promised by the answer too; the account is the rail's name."""
    flags = {each.name for each in fields(Capabilities)} - {"rail_account"}

    assert set(RailAnswer.model_fields) - {"name"} == flags
