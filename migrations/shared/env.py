"""Runs the migrations of this branch on the connection that `migrations.runner` hands over."""

from alembic import context

connection = context.config.attributes["connection"]
schema = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
context.configure(
    connection=connection,
    version_table_schema=schema,
    transactional_ddl=True,
    transaction_per_migration=False,
)
connection.exec_driver_sql("SET LOCAL lock_timeout = '10s'")
connection.exec_driver_sql("SET LOCAL statement_timeout = '15min'")
context.run_migrations()
