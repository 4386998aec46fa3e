# What a run says about itself: its verdicts on the paper, what it cost, how it was made.


# On a cluster these run where Snakemake does.
localrules:
    describe_run,
    judge_claims,
    sum_up_costs,
    report,


rule describe_run:
    """Save the configuration and what made the run."""
    input:
        records=records_of_run,
        artifacts=run_files.artifacts,
    output:
        config=layout.config,
        provenance=layout.provenance("json"),
        # a part of the report's first page
        html=layout.provenance("html"),
    log:
        layout.log("describe_run"),
    benchmark:
        layout.benchmark("describe_run")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=500,
    params:
        config=references.with_nulls(config, given),
    message:
        "Saving the effective configuration, and what made the run"
    script:
        "../scripts/describe_run.py"


rule judge_claims:
    """Judge the paper's claims by the run's own numbers."""
    input:
        records=[layout.records(experiment) for experiment in run_files.judged],
        artifacts=[
            file
            for experiment in run_files.judged
            for file in run_files.shown(experiment)
        ],
        coded=coded_of_judged,
        decoded=decoded_of_judged,
        published=PUBLISHED,
    output:
        csv=layout.claims("csv"),
        md=layout.claims("md"),
        # a part of the report's first page
        html=layout.claims("html"),
        tex=layout.claims("tex"),
    log:
        layout.log("judge_claims"),
    benchmark:
        layout.benchmark("judge_claims")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
    params:
        claims=config["claims"],
        notice=config["notice"],
        experiments={name: config["experiments"][name] for name in run_files.judged},
        labels={name: method["label"] for name, method in config["methods"].items()},
        code=code_of_checks,
    message:
        "Judging the paper's claims"
    script:
        "../scripts/judge_claims.py"


# Snakemake takes no benchmark file for an output. So they are looked for when everything else is there.
rule sum_up_costs:
    """Add up what the jobs of the run cost."""
    input:
        artifacts=[*run_files.tables, *run_files.figures, *run_files.training_curves],
    output:
        csv=layout.table("run_cost", "csv"),
        md=layout.table("run_cost", "md"),
        html=report(
            layout.table("run_cost", "html"),
            category="Tables",
            labels={"table": "What the run cost"},
            caption="../report/run_cost.rst",
        ),
        tex=layout.table("run_cost", "tex"),
    log:
        layout.log("sum_up_costs"),
    benchmark:
        layout.benchmark("sum_up_costs")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=500,
    params:
        benchmarks=layout.benchmarks,
        code=code_of("sum_up_costs"),
    message:
        "Adding up what the run cost"
    script:
        "../scripts/sum_up_costs.py"


# Only a Snakemake of its own writes a report. The run that started it holds the folder's lock: hence --nolock.
# Every report of Snakemake has the same title.
rule report:
    """Write everything that is shown into one page, report.html."""
    input:
        artifacts=run_files.artifacts,
        config=layout.config,
        style=str(paths.found("workflow/report/style.css")),
    output:
        html=layout.report,
    log:
        layout.log("report"),
    benchmark:
        layout.benchmark("report")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
    params:
        snakefile=os.path.relpath(workflow.main_snakefile),
        title=f"sgaplus: run {config['run']}",
        code=code_of("write_report"),
    message:
        "Writing {output.html}"
    script:
        "../scripts/write_report.py"
