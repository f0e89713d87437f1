-- The only writer is here, so nobody else finishes ?1.
SELECT 1 AS locked WHERE ?1 IS NOT NULL
