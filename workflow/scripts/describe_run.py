"""Save the effective configuration, and what made the run, for programs and for the report."""

import json

import yaml

from sgaplus.artifacts import run_description
from sgaplus.files import replacing, write_json
from sgaplus.logs import logged

with logged(snakemake.log[0]):
    config = json.loads(json.dumps(snakemake.params.config))  # as plain as YAML wants it
    with replacing(snakemake.output.config) as temporary:
        temporary.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    description = run_description.describe(config, snakemake.input.records)
    write_json(description, snakemake.output.provenance)
    with replacing(snakemake.output.html) as temporary:
        temporary.write_text(run_description.page(description))
