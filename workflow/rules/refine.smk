# Refinement: one job per data set, chunk of images, model, and part of the refinements under that model.

# Said once, by the process that plans, where `make bench-gpu` has measured a GPU.
if GPU and workflow.is_main_process:
    for note in hours.notes(config, SOURCES):
        print(note, file=sys.stderr)


# Of the first GPU that is free; a run whose GPU does not compute what the CPU does stops here.
rule selftest:
    """Compare what a GPU and the CPU compute with a small model."""
    output:
        compared=layout.selftest,
    log:
        layout.log("selftest"),
    benchmark:
        layout.benchmark("selftest")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=growing(4000),
    params:
        device=config["device"],
        cuda_graphs=config["refinement"]["cuda_graphs"],
        code=code_of("selftest"),
    message:
        "Comparing the GPU with the CPU"
    script:
        "../scripts/selftest.py"


rule refine:
    """Refine a chunk of a data set's images under a model, in several ways."""
    input:
        index=layout.index("{dataset}"),
        model=layout.model("{model}"),
        selftest=layout.selftest if GPU else [],
    output:
        records=layout.refined(REFINEMENT_JOB, "parquet"),
        streams=layout.refined(REFINEMENT_JOB, "zip"),
    log:
        layout.log(f"refine/{REFINEMENT_JOB}"),
    benchmark:
        layout.benchmark(f"refine/{REFINEMENT_JOB}")
    conda:
        ENVIRONMENT
    threads: config["refinement"]["threads"]
    resources:
        gpu=GPU,
        mem_mb=growing(config["refinement"]["memory_mb"] + 2000),
    params:
        refinements=refinements_of,
        variants=variants_of,
        model_lmbda=lmbda_of,
        roundings=roundings_of,
        options={
            key: config["refinement"][key]
            for key in ("images_per_job", "record_every", "precision")
        },
        running=refinement_options,
        device=config["device"],
        kept=layout.kept,
        failed=layout.log(f"refine/{REFINEMENT_JOB}", "failed.parquet"),
        code=code_of("refine"),
    message:
        "Refining {wildcards.dataset} (chunk {wildcards.chunk}) under {wildcards.model}: {params.variants}"
    script:
        "../scripts/refine.py"


# Only where an experiment asks for a quality that refinement does not measure at its steps.
rule decode_bitstreams:
    """Decode a refinement job's bitstreams, and measure the pictures that they give."""
    input:
        index=layout.index("{dataset}"),
        model=layout.model("{model}"),
        streams=layout.refined(REFINEMENT_JOB, "zip"),
    output:
        records=layout.decoded(REFINEMENT_JOB),
    log:
        layout.log(f"decode_bitstreams/{REFINEMENT_JOB}"),
    benchmark:
        layout.benchmark(f"decode_bitstreams/{REFINEMENT_JOB}")
    wildcard_constraints:
        dataset=MADE_HERE,
    conda:
        ENVIRONMENT
    threads: config["refinement"]["threads"]
    resources:
        mem_mb=growing(4000),
    params:
        refinements=refinements_to_decode,
        distances=distances_to_decode,
        images_per_job=config["refinement"]["images_per_job"],
        code=code_of("decode_bitstreams"),
    message:
        "Decoding {wildcards.dataset} (chunk {wildcards.chunk}) under {wildcards.model}"
    script:
        "../scripts/decode_bitstreams.py"


# On a cluster this runs where Snakemake does: it takes seconds, and minutes in a queue.
localrules:
    gather_records,


rule gather_records:
    """Take the records that an experiment selects out of the jobs' records."""
    input:
        records=records_of_jobs,
    output:
        records=layout.records("{experiment}"),
    log:
        layout.log("gather_records/{experiment}"),
    benchmark:
        layout.benchmark("gather_records/{experiment}")
    wildcard_constraints:
        experiment=MADE_HERE,
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
    params:
        selected=selected_by,
        code=code_of("gather_records"),
    message:
        "Gathering the records of {wildcards.experiment}"
    script:
        "../scripts/gather_records.py"
