SELECT 1 AS found FROM pg_class
WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relkind IN ('r', 'p', 'v', 'm')
  AND relname <> '_sqlx_migrations' LIMIT 1
