"""Searches that are decided in rounds: what folds gave, read from the store, becomes what is trained next."""
