SELECT token, min(erased_at) AS erased_at, count(*) AS places FROM tombstones
WHERE token IN (SELECT json_array_elements_text($1::json)) GROUP BY token
