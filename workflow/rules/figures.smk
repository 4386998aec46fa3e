# Figures, from records alone; Figure 1 from the rounding functions, and Figure 5 from bitstreams too.


# on a cluster, where Snakemake runs
localrules:
    draw_figure,
    draw_qualitative,
    draw_training,


rule draw_figure:
    input:
        records=figure_records,
        published=PUBLISHED,
    output:
        pdf=f"{RUN}/figures/{{figure}}.pdf",
        png=report(
            f"{RUN}/figures/{{figure}}.png",
            category="Figures",
            labels=lambda wildcards: {
                "figure": config["experiments"][wildcards.figure]["title"]
            },
            caption="../report/experiment.rst",
        ),
    log:
        f"{RUN}/logs/draw_figure/{{figure}}.log",
    benchmark:
        f"{RUN}/benchmarks/draw_figure/{{figure}}.tsv"
    wildcard_constraints:
        figure="|".join(
            map(re.escape, [name for name in FIGURES if name not in QUALITATIVE])
        )
        or "none^",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **{
            key: lambda wildcards, key=key: experiment_of(wildcards.figure)[key]
            for key in ("experiment", "methods")
        },
        roundings=drawn_roundings,
        code=code_of_kind("draw_figure", "figure"),
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/draw_figure.py"


rule draw_qualitative:
    input:
        records=f"{RUN}/records/{{figure}}.parquet",
        streams=lambda wildcards: streams_of(wildcards.figure),
        index=lambda wildcards: (
            f"{RUN}/datasets/{config['experiments'][wildcards.figure]['dataset']}.csv"
        ),
        models=lambda wildcards: expand(
            f"{RUN}/models/{{model}}/model.pth",
            model=config["experiments"][wildcards.figure]["models"],
        ),
    output:
        pdf=f"{RUN}/figures/{{figure}}.pdf",
        png=report(
            f"{RUN}/figures/{{figure}}.png",
            category="Figures",
            labels=lambda wildcards: {
                "figure": config["experiments"][wildcards.figure]["title"]
            },
            caption="../report/experiment.rst",
        ),
    log:
        f"{RUN}/logs/draw_qualitative/{{figure}}.log",
    benchmark:
        f"{RUN}/benchmarks/draw_qualitative/{{figure}}.tsv"
    wildcard_constraints:
        figure="|".join(map(re.escape, QUALITATIVE)) or "none^",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
    params:
        **{
            key: lambda wildcards, key=key: experiment_of(wildcards.figure)[key]
            for key in ("experiment", "methods")
        },
        code=code_of_kind("draw_qualitative", "figure"),
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/draw_qualitative.py"


rule draw_training:
    input:
        metrics=expand(f"{RUN}/models/{{model}}/training.csv", model=TRAINED),
    output:
        pdf=f"{RUN}/figures/training.pdf",
        png=report(
            f"{RUN}/figures/training.png",
            category="Models",
            labels={"model": "all", "content": "training curves"},
            caption="../report/training_curves.rst",
        ),
    log:
        f"{RUN}/logs/draw_training.log",
    benchmark:
        f"{RUN}/benchmarks/draw_training.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
    params:
        models=TRAINED,
        code=code_of("draw_training"),
    message:
        "Drawing the training curves"
    script:
        "../scripts/draw_training.py"
