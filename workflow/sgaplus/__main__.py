"""``python -m sgaplus``."""

import sys

from sgaplus.cli import main

if __name__ == "__main__":
    sys.exit(main())
