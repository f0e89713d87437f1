-- A date of which only trials were pruned was never begun.
ALTER TABLE pruned_generations ADD COLUMN only_trials boolean NOT NULL DEFAULT false;
