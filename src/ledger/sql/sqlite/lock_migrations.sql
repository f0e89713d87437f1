-- The only writer is here.
SELECT 1 AS locked
