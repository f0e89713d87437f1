DELETE FROM evaluations
WHERE job = $1 AND logical_date IN (SELECT json_array_elements_text($2::json))
