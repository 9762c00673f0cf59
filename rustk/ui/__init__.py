"""The live page: reads the store and a backend, and writes nothing.

One thread for each page that somebody looks at (`watching`) asks the store and the backend every few seconds, reads
each history once (`figures`), and keeps what it found; requests (`server`) render that (`pages`, templates/) and ask
nobody. A browser gets whole pages, asks for its page again every few seconds, and takes over what has changed.
"""
