# Classical codecs, which experiments have as anchors: one job per data set, codec and chunk of images.


rule measure_codec:
    """Code a chunk of a data set's images with a classical codec at every setting of its sweep."""
    input:
        index=layout.index("{dataset}"),
    output:
        records=layout.coded(CODEC_JOB),
    log:
        layout.log(f"measure_codec/{CODEC_JOB}"),
    benchmark:
        layout.benchmark(f"measure_codec/{CODEC_JOB}")
    wildcard_constraints:
        dataset=MADE_HERE,
        codec=one_of(CODECS),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(3000),
    params:
        distances=distances_of_codec,
        images_per_job=config["codecs"]["images_per_job"],
        code=code_of("measure_codec"),
    message:
        "Coding {wildcards.dataset} (chunk {wildcards.chunk}) with {wildcards.codec}"
    script:
        "../scripts/measure_codec.py"
