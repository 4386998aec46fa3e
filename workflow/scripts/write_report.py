"""Write the report, by a Snakemake of its own: the one of the jobs' environment, which has all that a report needs."""

import subprocess
import sys
from pathlib import Path

TITLE = "<title>{}</title>"

with open(snakemake.log[0], "w") as log:
    report = Path(snakemake.output.html)
    command = [sys.executable, "-m", "snakemake", "--nolock", "--snakefile", snakemake.params.snakefile]
    command += ["--configfile", snakemake.input.config]
    command += ["--report", report, "--report-stylesheet", snakemake.input.style]
    subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=True)
    own = TITLE.format(snakemake.params.title)
    report.write_text(report.read_text().replace(TITLE.format("Snakemake Report"), own, 1))
