SELECT DISTINCT queue.run_id FROM queue JOIN runs ON runs.run_id = queue.run_id WHERE runs.job = $1
