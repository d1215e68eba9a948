"""Attacks over HTTP use the same application, clock and rail as the tests of the API."""

from tests.engine.api.conftest import api, api_database, api_engine, app, world

__all__ = ["api", "api_database", "api_engine", "app", "world"]
