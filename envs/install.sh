#!/bin/sh
# Installs exactly the lock, in an image of Debian 12 or newer with python3 and python3-venv. Run in the folder of the locks.
# The library is not in the image: it comes from the workflow, with the version that the workflow has.
set -eu
python3 -m venv /opt/sgaplus
/opt/sgaplus/bin/python -m pip install --quiet --no-cache-dir --require-hashes -r bootstrap.lock
/opt/sgaplus/bin/uv pip sync --no-cache --compile-bytecode --require-hashes --python /opt/sgaplus/bin/python requirements.lock
