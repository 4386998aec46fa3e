# Tables, from records alone.


# on a cluster, where Snakemake runs
localrules:
    make_table,


rule make_table:
    input:
        records=f"{RUN}/records/{{table}}.parquet",
        published=PUBLISHED,
    output:
        csv=f"{RUN}/tables/{{table}}.csv",
        md=f"{RUN}/tables/{{table}}.md",
        html=report(
            f"{RUN}/tables/{{table}}.html",
            category="Tables",
            labels=lambda wildcards: {
                "table": config["experiments"][wildcards.table]["title"]
            },
            caption="../report/experiment.rst",
        ),
        tex=f"{RUN}/tables/{{table}}.tex",
    log:
        f"{RUN}/logs/make_table/{{table}}.log",
    benchmark:
        f"{RUN}/benchmarks/make_table/{{table}}.tsv"
    wildcard_constraints:
        table="|".join(map(re.escape, TABLES)) or "none^",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **{
            key: lambda wildcards, key=key: experiment_of(wildcards.table)[key]
            for key in ("experiment", "methods")
        },
        code=code_of_kind("make_table", "table"),
    message:
        "Making table {wildcards.table}"
    script:
        "../scripts/make_table.py"
