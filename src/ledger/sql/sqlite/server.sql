SELECT sqlite_version() AS version, journal_mode AS durability, 0 AS skips_disk, 0 AS is_replica, '' AS role,
       0 AS is_superuser, 1 AS owns_schema, ?1 IS NULL AS has_schema, NULL AS encryption, 'file' AS way,
       0.0 AS session_seconds
FROM pragma_journal_mode
