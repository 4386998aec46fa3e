"""Write the report, by a Snakemake of its own: the one of the jobs' environment, which has all that a report needs."""

import subprocess
import sys

command = [sys.executable, "-m", "snakemake", "--nolock", "--snakefile", snakemake.params.snakefile]
command += ["--configfile", snakemake.input.config, "--report", snakemake.output.html]
with open(snakemake.log[0], "w") as log:
    subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=True)
