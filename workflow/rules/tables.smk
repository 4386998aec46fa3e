# Tables, from records alone.


# On a cluster this runs where Snakemake does.
localrules:
    make_table,


rule make_table:
    """Make an experiment's table from its records."""
    input:
        records=layout.records("{experiment}"),
        coded=coded_of,
        decoded=decoded_of,
        published=PUBLISHED,
    output:
        csv=layout.table("{experiment}", "csv"),
        md=layout.table("{experiment}", "md"),
        html=report(
            layout.table("{experiment}", "html"),
            category="Tables",
            labels=labels_of_table,
            caption="../report/table.rst",
        ),
        tex=layout.table("{experiment}", "tex"),
    log:
        layout.log("make_table/{experiment}"),
    benchmark:
        layout.benchmark("make_table/{experiment}")
    wildcard_constraints:
        experiment=one_of(run_files.with_table),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
    params:
        experiment=entry_of,
        methods=methods_of,
        shows=table_shows,
        code=code_of_table,
    message:
        "Making table {wildcards.experiment}"
    script:
        "../scripts/make_table.py"
