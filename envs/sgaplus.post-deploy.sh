#!/usr/bin/env bash
# Run by Snakemake, in the repository's root, once the conda environment exists.
set -euo pipefail
uv pip sync --compile-bytecode --require-hashes --python "$CONDA_PREFIX/bin/python" envs/requirements.lock
uv pip install --no-deps --no-build-isolation --python "$CONDA_PREFIX/bin/python" --editable .
