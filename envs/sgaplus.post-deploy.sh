#!/usr/bin/env bash
# A copy of this is run by Snakemake once the conda environment exists: it installs exactly the lock, which it finds by
# the variable that workflow/rules/library.smk sets. The library comes from the workflow.
# Snakemake makes an environment anew if this file changes. So it names the hash of the lock, which `make lock` writes:
# 1d95302e5fecbccf969faecfdc6731280e342f6d3a6435c569c31826cf4835e4
set -euo pipefail
uv pip sync --compile-bytecode --require-hashes --python "$CONDA_PREFIX/bin/python" "$SGAPLUS_CHECKOUT/envs/requirements.lock"
