"""Books with a story in them, committed and sealed once for all tests of the exports."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Engine

from kernel.database import Tenant, connect
from kernel.embedded import EmbeddedServer
from tests.exports.stage import Export, keep, seal, story
from tests.fixtures.databases import cloned_database


@pytest.fixture(scope="module")
def told(server: EmbeddedServer, tenant: Tenant) -> Iterator[Engine]:
    """An engine on a database in which the story is posted and sealed."""
    with ExitStack() as stack:
        database = stack.enter_context(cloned_database(server))
        engine = connect(database.app_url)
        stack.callback(engine.dispose)
        for drafts in story():
            keep(engine, tenant, *drafts)
        seal(engine, tenant)
        yield engine


@pytest.fixture
def export(told: Engine, tenant: Tenant, tmp_path: Path) -> Export:
    """Exports the story in a format, into a folder of the test."""
    return Export(told, tenant, tmp_path)
