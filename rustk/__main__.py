"""`python -m rustk` is the command `rustk`."""

from rustk.cli.app import main

if __name__ == "__main__":
    main()
