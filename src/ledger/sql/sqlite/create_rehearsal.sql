-- A rehearsal has a file of its own, with the real tables in it.
SELECT 1
