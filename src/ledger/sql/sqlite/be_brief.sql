-- There is nothing to wait for.
SELECT 1 AS brief
