UPDATE runs
SET predicted = predicted - $2, dead_letters = dead_letters - $3, duplicates = duplicates - $4,
    erased = erased + $2 + $3, output_hash = $5
WHERE run_id = $1
