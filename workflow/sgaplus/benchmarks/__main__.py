"""``python -m sgaplus.benchmarks``."""

from sgaplus.benchmarks.training import main

if __name__ == "__main__":
    main()
