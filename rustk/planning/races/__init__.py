"""Which trials a search goes on with before all their folds are trained: one file a rule, chosen by `search.race`."""
