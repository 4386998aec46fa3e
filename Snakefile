# sgaplus: the SGA+ paper, from raw data to every table and figure.
#
#   <data folder>/<data set>/                what others publish, as it is there, and unpacked
#   results/<run>/datasets/<dataset>.csv     the images of a data set
#   results/<run>/models/<model>/model.pth
#   results/<run>/refinements/<dataset>/<model>/part<part>_chunk<chunk>.parquet
#   results/<run>/records/<experiment>.parquet -> figures/<experiment>.{pdf,png}, tables/<experiment>.{csv,md,html}
#   results/<run>/claims.md, report.html
from snakemake.utils import min_version

min_version("9.27.1")


configfile: "config/config.yaml"


# The software of all rules below, where Snakemake is started with --sdm apptainer.
if "container" in config:

    container: config["container"]


include: "workflow/rules/common.smk"
include: "workflow/rules/wildcards.smk"
include: "workflow/rules/datasets.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/refine.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/workflow.rst"


# Notes which machine the run is on: `make demo` removes the lock of a killed run only there.
onstart:
    stale_lock.record_host(local=workflow.local_exec)


rule all:
    """Make everything but the report."""
    default_target: True
    input:
        artifacts=run_files.artifacts,
        run=rules.describe_run.output,


rule datasets:
    """Fetch, index and list all data sets."""
    input:
        rules.list_datasets.output,


rule models:
    """Train or fetch all models, and draw the training curves."""
    input:
        [layout.model(model) for model in run_files.refined_under],
        run_files.training_curves,


rule tables:
    """Make all tables."""
    input:
        run_files.tables,
        run_files.costs,


rule figures:
    """Draw all figures."""
    input:
        run_files.figures,


rule claims:
    """Judge all claims."""
    input:
        run_files.claims,


# targets of each experiment: fig2_true_loss or fig2, table1_temperature or table1, bd_kodak, ...
for target, experiment in targets.of_experiments(config["experiments"]).items():

    rule:
        name:
            target
        input:
            run_files.of_experiment(experiment),

    # for `snakemake --list`; a docstring in the rule itself cannot be a variable
    workflow.get_rule(target).docstring = config["experiments"][experiment]["title"]


check_targets()
