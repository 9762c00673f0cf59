"""The methods section of a paper, made from what was in effect in a run: its words and their references."""
