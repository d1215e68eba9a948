"""`holdfast serve`: the API of one process, until it is told to end."""

import click
import uvicorn

from engine.api.app import make_app, server_config
from engine.api.doors import TenantDoors
from engine.api.logs import configure_logs
from engine.commands.frame import database, in_words
from engine.ports import listen
from engine.rails import RailHouse
from engine.sealer import signer_at
from engine.signer import socket_path
from engine.worker import end_with_parent
from kernel.settings import read_settings


@click.command()
@click.option("--host", help="The address to listen at; HOLDFAST_HOST if left out.")
@click.option("--port", type=click.IntRange(0, 65_535), help="HOLDFAST_PORT if left out.")
@click.option("--parent", type=int, hidden=True, help="End when this process ends.")
@in_words
def command(*, host: str | None, port: int | None, parent: int | None) -> None:
    """Serve the API; Ctrl-C ends it after the requests that run."""
    if parent is not None:
        end_with_parent(parent)
    settings = read_settings()
    at_host = host or settings.host
    at_port = settings.port if port is None else port
    configure_logs()
    with listen(at_host, at_port) as socket, database(pool_size=12) as opened:
        engine = opened.engine
        doors = TenantDoors(engine)
        house = RailHouse(engine)
        app = make_app(
            engine,
            doors,
            find_rail=house.find,
            default_rail=house.default,
            ask_signer=signer_at(socket_path(settings.data_dir)),
        )
        try:
            config = server_config(app, host=at_host, port=at_port)
            uvicorn.Server(config).run(sockets=[socket])
        finally:
            doors.close()
