"""All scenes: those of milestones, of disputes and claims, of hours and retainers."""

from typing import Final

from tests.escrow import scenes, scenes_disputes, scenes_terms

MODULES: Final = (scenes, scenes_disputes, scenes_terms)
"""Each enters its scenes into the list as it is read."""

SCENES: Final = scenes.SCENES
