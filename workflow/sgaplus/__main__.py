"""``python -m sgaplus``."""

import sys

from sgaplus.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
