SELECT current_setting('server_version') AS version, current_setting('synchronous_commit') AS durability,
       current_setting('fsync') = 'off' AS skips_disk, pg_is_in_recovery() AS is_replica, current_user::text AS role,
       coalesce((SELECT rolsuper FROM pg_roles WHERE rolname = current_user), false) AS is_superuser,
       EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1 AND pg_has_role(nspowner, 'USAGE')) AS owns_schema,
       EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1) AS has_schema,
       (SELECT version || ', ' || cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl) AS encryption,
       CASE WHEN inet_client_addr() IS NULL THEN 'socket'
            WHEN inet_client_addr() <<= inet '127.0.0.0/8' OR inet_client_addr() = inet '::1' THEN 'loopback'
            ELSE 'network' END AS way,
       coalesce((SELECT extract(epoch FROM clock_timestamp() - backend_start)::float8
                 FROM pg_stat_activity WHERE pid = pg_backend_pid()), 0) AS session_seconds
