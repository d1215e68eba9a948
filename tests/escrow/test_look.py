"""What one can do now, what happens if nobody does anything, and the pictures of the machines."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection

from escrow import service
from escrow.diagram import MACHINES, draw, page
from kernel.principals import Actor
from tests.escrow.stage import Stage
from tests.fixtures.sources import ROOT


def steps(stage: Stage, actor: Actor) -> dict[str, str | None]:
    seen = service.look(stage.connection, [stage.slot_id], actor=actor, at=stage.now)
    return {each["step"]: each["blocked_by"] for each in seen[stage.slot_id]["options"]}


def test_each_sees_his_own_steps(connection: Connection) -> None:
    """The client may approve, the payee give back, a stranger nothing."""
    stage = Stage(connection).submitted()

    assert steps(stage, stage.client)["approve"] is None
    assert "give_back" not in steps(stage, stage.client)
    assert steps(stage, stage.payee)["give_back"] is None
    assert steps(stage, stage.stranger) == {}


def test_a_blocked_step_names_its_obstacle(connection: Connection) -> None:
    """With a hold, approving is shown with the code that would refuse it."""
    stage = Stage(connection).submitted()
    stage.hold(f"slot:{stage.slot_id}")

    assert steps(stage, stage.client)["approve"] == "escrow.held"


def test_silence_has_a_consequence(connection: Connection) -> None:
    """Under review, doing nothing releases the money when the review ends."""
    stage = Stage(connection).submitted()

    seen = service.look(connection, [stage.slot_id], actor=stage.client, at=stage.now)

    assert seen[stage.slot_id]["if_nothing"] == {
        "step": "auto_release",
        "leads_to": "released",
        "at": (stage.now + timedelta(days=14)).isoformat(),
        "blocked_by": None,
    }


def test_what_is_shown_as_open_is_what_works(connection: Connection) -> None:
    """A step shown without obstacle is not refused when it is taken."""
    stage = Stage(connection).ready()
    shown = steps(stage, stage.payee)

    assert shown["give_back"] is None
    assert stage.on_slot("give_back", stage.payee).is_done
    assert steps(stage, stage.payee) == {"refund_later": "escrow.nothing_released"}


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_a_picture_has_every_step(name: str) -> None:
    """Each step of the table stands in the diagram and in the page."""
    machine = MACHINES[name]

    picture = draw(machine)

    assert all(trigger.value in picture for _, trigger in machine)
    assert picture in page(name, machine)


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_the_pages_are_current(name: str) -> None:
    """docs/machines shows the tables as they are; `make docs` draws them anew."""
    kept = ROOT / "docs" / "machines" / f"{name}.md"

    assert kept.read_text(encoding="utf-8") == page(name, MACHINES[name])
