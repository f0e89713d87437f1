SELECT token, min(erased_at) AS erased_at, count(*) AS places FROM tombstones
WHERE token IN (SELECT value FROM json_each(?1)) GROUP BY token
