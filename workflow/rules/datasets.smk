# Data sets: published files are downloaded and unpacked into the data folder, and every data set,
# from there or from a folder, a glob or a package, becomes an index of images.


# On a cluster these run where Snakemake does: the compute nodes may have no network, and the table is to be seen.
localrules:
    download,
    list_datasets,


rule download:
    output:
        file=f"{DATA}/{{file}}",
    log:
        f"{RUN}/logs/download/{{file}}.log",
    benchmark:
        f"{RUN}/benchmarks/download/{{file}}.tsv"
    wildcard_constraints:
        file=absent(row.key for row in MANIFEST if row.urls),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        downloads=1,
        mem_mb=500,
    message:
        "Downloading {wildcards.file}"
    script:
        "../scripts/download.py"


rule unpack:
    input:
        archive=archive_of,
    output:
        folder=directory(f"{DATA}/{{folder}}"),
    log:
        f"{RUN}/logs/unpack/{{folder}}.log",
    benchmark:
        f"{RUN}/benchmarks/unpack/{{folder}}.tsv"
    wildcard_constraints:
        folder=absent(row.folder for row in MANIFEST if row.kind == "zip"),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(1000),
    message:
        "Unpacking {input.archive}"
    script:
        "../scripts/unpack.py"


# The archive is no input: without it the plan stands, and the job says how to get it.
rule pack_shards:
    output:
        shards=directory(f"{DATA}/{{folder}}"),
        index=f"{DATA}/{{folder}}.csv",
    log:
        f"{RUN}/logs/pack_shards/{{folder}}.log",
    benchmark:
        f"{RUN}/benchmarks/pack_shards/{{folder}}.tsv"
    wildcard_constraints:
        folder=absent(
            (row.folder for row in MANIFEST if row.kind == "tar"), suffix=".csv"
        ),
    conda:
        ENVIRONMENT
    threads: 4
    resources:
        mem_mb=growing(4000),
    params:
        sources=config["datasets"],
        default=lambda wildcards: str(archive_of(wildcards)),
    message:
        "Packing the images of {wildcards.folder} into shards"
    script:
        "../scripts/pack_shards.py"


rule index_dataset:
    input:
        files=files_of,
        parts=parts_of,
    output:
        index=f"{RUN}/datasets/{{dataset}}.csv",
    log:
        f"{RUN}/logs/index_dataset/{{dataset}}.log",
    benchmark:
        f"{RUN}/benchmarks/index_dataset/{{dataset}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(4000),
    params:
        source=source_of,
        data_folder=str(DATA),
        code=code_of("index_dataset"),
    message:
        "Reading the images of data set {wildcards.dataset}"
    script:
        "../scripts/index_dataset.py"


rule list_datasets:
    input:
        indexes=list(DATASET_FILES.values()),
    output:
        table=f"{RUN}/datasets.csv",
    log:
        f"{RUN}/logs/list_datasets.log",
    benchmark:
        f"{RUN}/benchmarks/list_datasets.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
    params:
        sources=config["datasets"],
        data_folder=str(DATA),
        code=code_of("list_datasets"),
    message:
        "Listing the data sets"
    script:
        "../scripts/list_datasets.py"


# A table of what there is also where something could not be had.
onerror:
    if "datasets" in workflow.dag_settings.targets:
        print(
            inventory.table(
                inventory.state(name, SOURCES, DATASET_FILES.get(name), DATA)
                for name in config["datasets"]
            )
        )
