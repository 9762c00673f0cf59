"""The words of rustk: instruments, names and schemas of what lies in the store, settings and errors.

It imports nothing else of rustk.
"""
