-- The tenant's role may add to the books and read them; it can change nothing in them.

DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
BEGIN
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I', current_schema(), tenant_role);
    EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO %I', current_schema(), tenant_role);
    EXECUTE format('GRANT INSERT (id, event_count, entry_count, line_count) ON batch TO %I', tenant_role);
    EXECUTE format('GRANT INSERT ON event, entry, line, idempotency TO %I', tenant_role);
    EXECUTE format('GRANT INSERT ON account, period, party, hold TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (balance_minor, line_count, newest_recorded_at, state)'
                   ' ON account TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (state) ON period TO %I', tenant_role);
    EXECUTE format('GRANT UPDATE (kyc_state, sanction_state, country, version) ON party TO %I',
                   tenant_role);
    EXECUTE format('GRANT UPDATE (lifted_by, lifted_at) ON hold TO %I', tenant_role);
END $$;
