# Models: trained here, or brought in from a file (`path:`) or an address (`url:`).
TRAINED_HERE = {
    name for name, entry in config["models"].items() if plan.trained_here(entry)
}

# Said once, by the process that plans, and not by the jobs that it starts.
if workflow.is_main_process:
    for note in recipe.notes(
        layout.models,
        {name: config["models"][name] for name in run_files.trained},
        config["training"],
        code_version.of_script("train_model"),
    ):
        print(note, file=sys.stderr)


# A training takes days. So the code that trains is no parameter: no change of it trains a model anew.
rule train_model:
    """Train a model."""
    input:
        index=training_index,
        test=evaluation_index,
        start=start_of,
    output:
        model=layout.model("{model}"),
        metrics=report(
            layout.metrics("{model}"),
            category="Models",
            labels={"result": "Training metrics of {model} (CSV)"},
            caption="../report/training.rst",
        ),
        card=layout.card("{model}"),
    log:
        layout.log("train_model/{model}"),
    benchmark:
        layout.benchmark("train_model/{model}")
    wildcard_constraints:
        model=one_of(TRAINED_HERE),
    conda:
        ENVIRONMENT
    threads: config["training"]["threads"]
    resources:
        gpu=GPU * config["training"]["gpus"],
        mem_mb=growing(config["training"]["memory_mb"]),
    params:
        model=model_of,
        training=recipe_of,
        running=training_options,
    message:
        "Training {wildcards.model}"
    script:
        "../scripts/train_model.py"


# models with a url, by the place of their weights in the data folder
PUBLISHED_WEIGHTS = {
    place_of_weights(model): entry
    for model, entry in config["models"].items()
    if "url" in entry
}


# On a cluster this runs where Snakemake does: the compute nodes may have no network.
localrules:
    download_model,


rule download_model:
    """Download the weights of a model that others publish."""
    output:
        file=f"{DATA}/{{weights}}",
    log:
        layout.log("download_model/{weights}"),
    benchmark:
        layout.benchmark("download_model/{weights}")
    wildcard_constraints:
        weights=absent(PUBLISHED_WEIGHTS),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        downloads=1,
        mem_mb=500,
    params:
        url=url_of_weights,
        sha256=hash_of_weights,
    message:
        "Downloading {wildcards.weights}"
    script:
        "../scripts/download_model.py"


rule check_model:
    """Check a model that was trained elsewhere, and put its weights in their place."""
    input:
        model=weights_of,
    output:
        model=layout.model("{model}"),
    log:
        layout.log("check_model/{model}"),
    benchmark:
        layout.benchmark("check_model/{model}")
    wildcard_constraints:
        model=one_of(config["models"].keys() - TRAINED_HERE),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
    params:
        centre=centre_of,
        code=code_of("check_model"),
    message:
        "Checking {input.model}"
    script:
        "../scripts/check_model.py"


rule bundle:
    """Measure models and write them in half precision, to give them away."""
    input:
        models=[layout.model(model) for model in config["bundle"]],
        metrics=[layout.metrics(model) for model in config["bundle"]],
        cards=[layout.card(model) for model in config["bundle"]],
        test=evaluation_index,
        coded=coded_beside_bundle,
    output:
        models=[layout.bundle(f"{model}.pth") for model in config["bundle"]],
        readme=layout.bundle("README.md"),
        curve=layout.bundle("curve.csv"),
        recipes=layout.bundle("recipes.json"),
    log:
        layout.log("bundle"),
    benchmark:
        layout.benchmark("bundle")
    conda:
        ENVIRONMENT
    threads: config["training"]["threads"]
    resources:
        mem_mb=growing(4000),
    params:
        names=config["bundle"],
        test=config["training"].get("evaluate_on"),
        code=code_of("bundle"),
    message:
        "Measuring the models and writing them in half precision"
    script:
        "../scripts/bundle.py"
