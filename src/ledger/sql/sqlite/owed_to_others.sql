-- There is one writer: what another process had claimed it does not hold any more.
SELECT 0 AS owed WHERE ?1 <> '' OR ?2 <> ''
