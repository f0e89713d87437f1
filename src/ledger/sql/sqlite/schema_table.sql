SELECT 1 AS found FROM sqlite_master WHERE name = '_sqlx_migrations'
