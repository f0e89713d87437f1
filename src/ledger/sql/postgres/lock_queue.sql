-- Whoever inserts waits, so that no newer row of a record comes between the look and the update.
LOCK TABLE queue IN SHARE ROW EXCLUSIVE MODE
