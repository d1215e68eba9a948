"""`holdfast worker`: timers, rails, jobs and the daily settlement, until it is told to end."""

import click

from engine import worker
from engine.api import views
from engine.api.logs import configure_logs
from engine.commands.frame import database, in_words
from engine.daily import SafeguardingLoop
from engine.handlers import TIMERS
from engine.invoicing import InvoiceLoop
from engine.loops import MoneyLoop
from engine.payout_runs import RunLoop
from engine.rails import RailHouse
from engine.webhooks.sender import WebhookLoop
from engine.webhooks.wire import Wire
from kernel.due import DueTenants
from kernel.settings import read_settings


@click.command()
@click.option("--threads", type=click.IntRange(1, 64), default=4, show_default=True)
@click.option("--parent", type=int, hidden=True, help="End when this process ends.")
@in_words
def command(threads: int, parent: int | None) -> None:
    """Fire timers, call rails, do jobs and settle each day; Ctrl-C ends it."""
    if parent is not None:
        worker.end_with_parent(parent)
    configure_logs()
    with database(pool_size=threads + 13) as opened:
        engine = opened.engine
        money = MoneyLoop(engine, DueTenants(engine), RailHouse(engine).every)
        invoices = InvoiceLoop(engine, DueTenants(engine))
        runs = RunLoop(engine, DueTenants(engine))
        webhooks = WebhookLoop(engine, DueTenants(engine), Wire(views.event))
        daily = SafeguardingLoop(engine, DueTenants(engine), RailHouse(engine).every)
        walks = (money, invoices, runs, webhooks, daily)
        worker.work(
            engine,
            TIMERS,
            loops=[walk.run_forever for walk in walks],
            broker_url=read_settings().broker_url,
            worker_threads=threads,
        )
