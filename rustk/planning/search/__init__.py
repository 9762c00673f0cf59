"""Which trials a study has, and which folds are trained next: one file a kind, chosen by `search.kind`."""
