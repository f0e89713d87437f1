SELECT pg_class.relname::text AS name, has_table_privilege(pg_class.oid, 'SELECT') AS can_select,
       has_table_privilege(pg_class.oid, 'INSERT') AS can_insert,
       has_table_privilege(pg_class.oid, 'UPDATE') AS can_update,
       has_table_privilege(pg_class.oid, 'DELETE') AS can_delete
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = $1 AND relkind IN ('r', 'p')
