SELECT 1 AS found FROM sqlite_master WHERE tbl_name <> '_sqlx_migrations' LIMIT 1
