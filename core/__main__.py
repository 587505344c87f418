"""`python -m core`: the command line without installing anything."""

import sys

from core.cli import main

if __name__ == "__main__":
    sys.exit(main())
