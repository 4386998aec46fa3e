# Data sets: what others publish is downloaded and unpacked into the data folder, and every data set,
# from there or from a folder, a glob or a package, becomes an index of images.


# On a cluster these run where Snakemake does: the compute nodes may have no network, and the table of data sets
# is printed.
localrules:
    download,
    list_datasets,


rule download:
    """Download a file that others publish into the data folder."""
    output:
        file=f"{DATA}/{{file}}",
    log:
        layout.log("download/{file}"),
    benchmark:
        layout.benchmark("download/{file}")
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
    """Unpack a downloaded zip file."""
    input:
        archive=archive_of,
    output:
        folder=directory(f"{DATA}/{{folder}}"),
    log:
        layout.log("unpack/{folder}"),
    benchmark:
        layout.benchmark("unpack/{folder}")
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
    """Pack the images of ImageNet's archive into shards, with an index."""
    output:
        shards=directory(f"{DATA}/{{folder}}"),
        index=f"{DATA}/{{folder}}.csv",
    log:
        layout.log("pack_shards/{folder}"),
    benchmark:
        layout.benchmark("pack_shards/{folder}")
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
    """Read every image of a data set once, and write an index of them."""
    input:
        files=files_of,
        parts=parts_of,
    output:
        index=layout.index("{dataset}"),
    log:
        layout.log("index_dataset/{dataset}"),
    benchmark:
        layout.benchmark("index_dataset/{dataset}")
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


# The indexes of all data sets but those that nobody needs and only those who register can get.
OPTIONAL = needed.optional(config, SOURCES, DATA)
INDEXES = {
    name: layout.index(name) for name in config["datasets"] if name not in OPTIONAL
}


rule list_datasets:
    """Write and print a table of all data sets."""
    input:
        indexes=list(INDEXES.values()),
    output:
        table=layout.datasets,
    log:
        layout.log("list_datasets"),
    benchmark:
        layout.benchmark("list_datasets")
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


# The table of data sets is printed also where one of them could not be had.
onerror:
    if "datasets" in workflow.dag_settings.targets:
        print(
            inventory.table(
                inventory.state(name, SOURCES, INDEXES.get(name), DATA)
                for name in config["datasets"]
            )
        )
