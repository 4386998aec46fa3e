# Models: trained here, or brought in from a file (`path:`).

# Not said again by every job.
if workflow.is_main_process:
    for note in recipe.notes(
        f"{RUN}/models",
        {name: config["models"][name] for name in TRAINED},
        config["training"],
        code_version.of_script("train_model"),
    ):
        print(note, file=sys.stderr)


# A training takes days. So the code that trains is no parameter: no change of it trains a model anew.


rule train_model:
    input:
        index=lambda wildcards: (
            f"{RUN}/datasets/{config['models'][wildcards.model]['dataset']}.csv"
        ),
        test=evaluation_index,
        start=start_of,
    output:
        model=f"{RUN}/models/{{model}}/model.pth",
        metrics=report(
            f"{RUN}/models/{{model}}/training.csv",
            category="Models",
            labels={"model": "{model}", "content": "training metrics"},
            caption="../report/training.rst",
        ),
        card=f"{RUN}/models/{{model}}/model.json",
    log:
        f"{RUN}/logs/train_model/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/train_model/{{model}}.tsv"
    wildcard_constraints:
        model=names_of_models(trained=True),
    conda:
        ENVIRONMENT
    threads: config["training"]["threads"]
    resources:
        gpu=GPU * config["training"]["gpus"],
        mem_mb=growing(config["training"]["memory_mb"]),
    params:
        model=lambda wildcards: config["models"][wildcards.model],
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


# needs the network, which a cluster's compute nodes may not have
localrules:
    download_model,


rule download_model:
    output:
        file=f"{DATA}/{{weights}}",
    log:
        f"{RUN}/logs/download_model/{{weights}}.log",
    benchmark:
        f"{RUN}/benchmarks/download_model/{{weights}}.tsv"
    wildcard_constraints:
        weights=absent(PUBLISHED_WEIGHTS),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        downloads=1,
        mem_mb=500,
    params:
        url=lambda wildcards: PUBLISHED_WEIGHTS[wildcards.weights]["url"],
        sha256=lambda wildcards: PUBLISHED_WEIGHTS[wildcards.weights].get("sha256"),
    message:
        "Downloading {wildcards.weights}"
    script:
        "../scripts/download_model.py"


rule check_model:
    input:
        model=weights_of,
    output:
        model=f"{RUN}/models/{{model}}/model.pth",
    log:
        f"{RUN}/logs/check_model/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/check_model/{{model}}.tsv"
    wildcard_constraints:
        model=names_of_models(trained=False),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
    params:
        code=code_of("check_model"),
    message:
        "Checking {input.model}"
    script:
        "../scripts/check_model.py"


rule bundle:
    input:
        models=[f"{RUN}/models/{model}/model.pth" for model in config["bundle"]],
        metrics=[f"{RUN}/models/{model}/training.csv" for model in config["bundle"]],
        cards=[f"{RUN}/models/{model}/model.json" for model in config["bundle"]],
        test=evaluation_index,
    output:
        models=[f"{RUN}/bundle/{model}.pth" for model in config["bundle"]],
        readme=f"{RUN}/bundle/README.md",
        curve=f"{RUN}/bundle/curve.csv",
        recipes=f"{RUN}/bundle/recipes.json",
    log:
        f"{RUN}/logs/bundle.log",
    benchmark:
        f"{RUN}/benchmarks/bundle.tsv"
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
