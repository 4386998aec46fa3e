# Figures, from records alone, but for Figure 1, from the rounding functions, and Figure 5, from bitstreams too.


# On a cluster these run where Snakemake does.
localrules:
    compare_pictures,
    draw_figure,
    draw_qualitative,
    draw_training,


rule draw_figure:
    """Draw an experiment's figure from its records."""
    input:
        records=records_to_draw,
        coded=coded_of,
        decoded=decoded_of,
        published=PUBLISHED,
    output:
        pdf=report(
            layout.figure("{experiment}", "pdf"),
            category="Figures",
            labels=labels_of_vector_figure,
            caption="../report/figure.rst",
        ),
        png=report(
            layout.figure("{experiment}", "png"),
            category="Figures",
            labels=labels_of_figure,
            caption="../report/figure.rst",
        ),
    log:
        layout.log("draw_figure/{experiment}"),
    benchmark:
        layout.benchmark("draw_figure/{experiment}")
    wildcard_constraints:
        experiment=one_of(set(run_files.with_figure) - set(run_files.with_pictures)),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
    params:
        experiment=entry_of,
        methods=methods_of,
        shows=figure_shows,
        roundings=drawn_roundings,
        code=code_of_figure,
    message:
        "Drawing {wildcards.experiment}"
    script:
        "../scripts/draw_figure.py"


rule draw_qualitative:
    """Draw pictures that an experiment's bitstreams decode to."""
    input:
        records=layout.records("{experiment}"),
        streams=streams_of,
        index=index_of_pictures,
        models=models_of,
        published=PUBLISHED,
    output:
        pdf=report(
            layout.figure("{experiment}", "pdf"),
            category="Figures",
            labels=labels_of_vector_figure,
            caption="../report/figure.rst",
        ),
        png=report(
            layout.figure("{experiment}", "png"),
            category="Figures",
            labels=labels_of_figure,
            caption="../report/figure.rst",
        ),
    log:
        layout.log("draw_qualitative/{experiment}"),
    benchmark:
        layout.benchmark("draw_qualitative/{experiment}")
    wildcard_constraints:
        experiment=one_of(run_files.with_pictures),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
    params:
        experiment=entry_of,
        methods=methods_of,
        shows=figure_shows,
        code=code_of_figure,
    message:
        "Drawing {wildcards.experiment}"
    script:
        "../scripts/draw_qualitative.py"


rule draw_training:
    """Draw the losses of all trainings over their steps."""
    input:
        metrics=[layout.metrics(model) for model in run_files.trained],
    output:
        pdf=report(
            layout.figure("training", "pdf"),
            category="Models",
            labels={"result": "Training curves (vector graphics)"},
            caption="../report/training_curves.rst",
        ),
        png=report(
            layout.figure("training", "png"),
            category="Models",
            labels={"result": "Training curves"},
            caption="../report/training_curves.rst",
        ),
    log:
        layout.log("draw_training"),
    benchmark:
        layout.benchmark("draw_training")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
    params:
        models=trainings_in_print,
        code=code_of("draw_training"),
    message:
        "Drawing the training curves"
    script:
        "../scripts/draw_training.py"


if config["comparison"]:

    rule compare_pictures:
        """Lay pictures of the base models and refined ones over one another, on a page."""
        input:
            records=records_of_comparison,
            streams=streams_of_comparison,
            index=index_of_comparison,
            models=models_of_comparison,
            template=str(paths.found("workflow/report/compare.html")),
        output:
            html=layout.comparison,
        log:
            layout.log("compare_pictures"),
        benchmark:
            layout.benchmark("compare_pictures")
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=4000,
        params:
            comparison=config["comparison"],
            experiment=experiment_of_comparison,
            label=label_of_comparison,
            notice=config["notice"],
            run=config["run"],
            code=code_of("compare_pictures"),
        message:
            "Comparing pictures"
        script:
            "../scripts/compare_pictures.py"
