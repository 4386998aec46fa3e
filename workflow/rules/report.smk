# What a run says about itself.


rule describe_run:
    output:
        config=f"{RUN}/config.yaml",
        versions=f"{RUN}/versions.json",
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
        "Saving the effective configuration and the versions"
    script:
        "../scripts/describe_run.py"
