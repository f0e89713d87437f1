-- A file has no schemas.
SELECT 1 AS found WHERE ?1 IS NULL
