DELETE FROM ground_truth WHERE record_id IN (SELECT json_array_elements_text($1::json))
