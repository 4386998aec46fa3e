# Refinement: one job per data set, chunk of images, model, and part of the refinements under that model.

REFINED = "{dataset}/{model}/part{part}_chunk{chunk}"


rule refine:
    input:
        index=f"{RUN}/datasets/{{dataset}}.csv",
        model=f"{RUN}/models/{{model}}/model.pth",
    output:
        records=f"{RUN}/refinements/{REFINED}.parquet",
        streams=f"{RUN}/refinements/{REFINED}.zip",
    log:
        f"{RUN}/logs/refine/{REFINED}.log",
    benchmark:
        f"{RUN}/benchmarks/refine/{REFINED}.tsv"
    conda:
        ENVIRONMENT
    threads: config["refinement"]["threads"]
    resources:
        gpu=GPU,
        mem_mb=growing(config["refinement"]["memory_mb"] + 2000),
    params:
        refinements=refinements_of,
        variants=variants_of,
        model_lmbda=lambda wildcards: config["models"][wildcards.model]["lmbda"],
        roundings=roundings_of,
        options={
            key: config["refinement"][key]
            for key in ("images_per_job", "record_every", "precision")
        },
        running=refinement_options,
        device=config["device"],
        kept=f"{RUN}/refinements/kept",
        failed=f"{RUN}/logs/refine/{REFINED}.failed.parquet",
        code=code_of("refine"),
    message:
        "Refining {wildcards.dataset} (chunk {wildcards.chunk}) under {wildcards.model}: {params.variants}"
    script:
        "../scripts/refine.py"


# on a cluster, where Snakemake runs: seconds each, which a queue would make minutes
localrules:
    gather_records,


rule gather_records:
    input:
        records=lambda wildcards: records_of(wildcards.experiment),
    output:
        records=f"{RUN}/records/{{experiment}}.parquet",
    log:
        f"{RUN}/logs/gather_records/{{experiment}}.log",
    benchmark:
        f"{RUN}/benchmarks/gather_records/{{experiment}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
    params:
        selected=lambda wildcards: list(plan.refinements(config, wildcards.experiment)),
        code=code_of("gather_records"),
    message:
        "Gathering the records of {wildcards.experiment}"
    script:
        "../scripts/gather_records.py"
