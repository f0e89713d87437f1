SELECT 1 AS found WHERE to_regclass('_sqlx_migrations') IS NOT NULL
