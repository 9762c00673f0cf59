"""A run in the formats of other tools. A kind is one file here and one command in cli/commands/export.py."""
