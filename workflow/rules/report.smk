# What a run says about itself: its verdicts on the paper, what it cost, how it was made.


# on a cluster, where Snakemake runs
localrules:
    describe_run,
    judge_claims,
    sum_up_costs,
    report,


rule describe_run:
    input:
        records=records_of(),
        artifacts=ARTIFACTS,
    output:
        config=f"{RUN}/config.yaml",
        provenance=f"{RUN}/provenance.json",
        # included in the report's first page
        html=f"{RUN}/provenance.html",
    log:
        f"{RUN}/logs/describe_run.log",
    benchmark:
        f"{RUN}/benchmarks/describe_run.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=500,
    params:
        config=config,
    message:
        "Saving the effective configuration, and what made the run"
    script:
        "../scripts/describe_run.py"


rule judge_claims:
    input:
        records=expand(f"{RUN}/records/{{experiment}}.parquet", experiment=JUDGED),
        artifacts=[artifact_of(experiment) for experiment in JUDGED],
    output:
        csv=f"{RUN}/claims.csv",
        md=f"{RUN}/claims.md",
        # included in the report's first page
        html=f"{RUN}/claims.html",
        tex=f"{RUN}/claims.tex",
    log:
        f"{RUN}/logs/judge_claims.log",
    benchmark:
        f"{RUN}/benchmarks/judge_claims.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
    params:
        claims=config["claims"],
        experiments={name: config["experiments"][name] for name in JUDGED},
        labels={name: method["label"] for name, method in config["methods"].items()},
        code=code_of_checks,
    message:
        "Judging the paper's claims"
    script:
        "../scripts/judge_claims.py"


# Benchmark files are no outputs, so they are found when everything else is there.
rule sum_up_costs:
    input:
        artifacts=[*TABLE_FILES, *FIGURE_FILES, *TRAINING_FIGURE],
    output:
        csv=f"{RUN}/tables/run_cost.csv",
        md=f"{RUN}/tables/run_cost.md",
        html=report(
            f"{RUN}/tables/run_cost.html",
            category="Tables",
            labels={"table": "What the run cost"},
            caption="../report/run_cost.rst",
        ),
        tex=f"{RUN}/tables/run_cost.tex",
    log:
        f"{RUN}/logs/sum_up_costs.log",
    benchmark:
        f"{RUN}/benchmarks/sum_up_costs.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=500,
    params:
        benchmarks=f"{RUN}/benchmarks",
        code=code_of("sum_up_costs"),
    message:
        "Adding up what the run cost"
    script:
        "../scripts/sum_up_costs.py"


rule report:
    input:
        artifacts=ARTIFACTS,
        config=rules.describe_run.output.config,
    output:
        html=f"{RUN}/report.html",
    log:
        f"{RUN}/logs/report.log",
    benchmark:
        f"{RUN}/benchmarks/report.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
    message:
        "Writing {output.html}"
    shell:
        f"{sys.executable} -m snakemake --nolock --configfile {{input.config}} --report {{output.html}} > {{log}} 2>&1"
