"""`python -m core`: the command line without installing anything."""

import sys

STOPPED = 130

if __name__ == "__main__":
    try:
        from core.cli import main

        code = main()
    except KeyboardInterrupt:
        # Ctrl+C while modules are still being loaded, which takes some tenths of a second.
        code = STOPPED
    sys.exit(code)
