# Data sets: from a folder, a glob or a package to an index of images.


rule index_dataset:
    input:
        files=files_of,
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
        mem_mb=2000,
    params:
        source=lambda wildcards: config["datasets"][wildcards.dataset],
        code=settings.code_version("images"),
    message:
        "Reading the images of data set {wildcards.dataset}"
    script:
        "../scripts/index_dataset.py"
