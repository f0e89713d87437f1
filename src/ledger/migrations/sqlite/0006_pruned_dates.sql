-- A date of which only trials were pruned was never begun.
ALTER TABLE pruned_generations ADD COLUMN only_trials INTEGER NOT NULL DEFAULT 0 CHECK (only_trials IN (0, 1));
