-- Who may read the views: the tenant's auditors, and the program itself for its own tests.
-- The role is a group without login; each engagement gets a login of its own (holdfast auditor).

DO $$
DECLARE
    tenant_role text := current_setting('holdfast.tenant_role');
    auditor_role text := current_setting('holdfast.auditor_role');
    seen regclass;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = auditor_role) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', auditor_role);
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), auditor_role);
    FOR seen IN
        SELECT c.oid FROM pg_class c
        WHERE c.relnamespace = current_schema()::regnamespace
            AND c.relkind = 'v' AND starts_with(c.relname, 'audit_')
    LOOP
        EXECUTE format('GRANT SELECT ON %s TO %I, %I', seen, tenant_role, auditor_role);
    END LOOP;
END $$;
