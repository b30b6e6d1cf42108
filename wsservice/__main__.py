"""`python -m wsservice`: the program `wsservice`, where it is not on the path."""

import sys

from wsservice.cli import main

if __name__ == "__main__":
    sys.exit(main())
