# Refinement: one job per data set, chunk of images, model, target lambda, method variant and seed.

REFINED = "{dataset}/{model}/target{target}/{variant}/seed{seed}/chunk{chunk}"


rule refine:
    input:
        index=f"{RUN}/datasets/{{dataset}}.csv",
        model=f"{RUN}/models/{{model}}/model.pth",
    output:
        records=f"{RUN}/refinements/{REFINED}.parquet",
    log:
        f"{RUN}/logs/refine/{REFINED}.log",
    benchmark:
        f"{RUN}/benchmarks/refine/{REFINED}.tsv"
    conda:
        ENVIRONMENT
    threads: config["refinement"]["threads"]
    resources:
        gpu=GPU,
        mem_mb=config["refinement"]["memory_mb"] + 2000,
    params:
        refinement=refinement_settings,
        model_lmbda=lambda wildcards: config["models"][wildcards.model]["lmbda"],
        options=config["refinement"],
        device=config["device"],
        failed=f"{RUN}/logs/refine/{REFINED}.failed.parquet",
        code=settings.code_version("refinement", "records", "images"),
    message:
        "Refining {wildcards.dataset} (chunk {wildcards.chunk}) with {wildcards.variant}, "
        "{wildcards.model}, target {wildcards.target}, seed {wildcards.seed}"
    script:
        "../scripts/refine.py"


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
        code=settings.code_version("records"),
    message:
        "Gathering the records of {wildcards.experiment}"
    script:
        "../scripts/gather_records.py"
