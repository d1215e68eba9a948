"""The tenant that a replay gets to itself."""

from engine.startup import Database
from kernel.database import Tenant
from kernel.settings import CannotStart
from migrations import runner


def free_name(database: Database, base: str) -> str:
    """The first name that no tenant has: base, base_2, base_3, ..."""
    taken = set(list_names(database))
    number = 1
    while (name := base if number == 1 else f"{base}_{number}") in taken:
        number += 1
    return name


def list_names(database: Database) -> list[str]:
    """The names of all tenants, in order."""
    with database.engine.begin() as connection:
        return runner.list_tenants(connection)


def open_tenant(database: Database, name: str) -> Tenant:
    """The tenant of this name, made if it is not there; CannotStart without the owner's login."""
    tenant = Tenant(name)
    if name in list_names(database):
        return tenant
    if database.owner_url is None:
        raise CannotStart(
            "A replay makes a tenant of its own, and HOLDFAST_OWNER_URL is not set: set it, or name"
            " an empty tenant with --tenant."
        )
    try:
        runner.create_tenant(database.owner_url, tenant)
    except runner.TenantExists:
        # Another process was faster; whether the tenant is still empty is checked when we begin.
        return tenant
    return tenant
