"""All scenes: of milestones, disputes, claims, hours, retainers, chargebacks, amendments."""

from typing import Final

from tests.escrow import scenes, scenes_disputes, scenes_more, scenes_terms

MODULES: Final = (scenes, scenes_disputes, scenes_terms, scenes_more)
"""Each enters its scenes into the list as it is read."""

SCENES: Final = scenes.SCENES
