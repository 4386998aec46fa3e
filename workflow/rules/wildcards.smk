# What the wildcards of a job stand for: its inputs and parameters.

# Models


def training_index(wildcards):
    """The index of the images that the model is trained on."""
    return layout.index(model_of(wildcards)["dataset"])


def evaluation_index(wildcards):
    """The index of the images that a training is evaluated on, if any."""
    dataset = config["training"].get("evaluate_on")
    return layout.index(dataset) if dataset else []


@in_a_sentence
def coded_beside_bundle(wildcards):
    """The records of all classical codecs on those images, which models to give away are compared with."""
    dataset = config["training"].get("evaluate_on")
    if not dataset:
        return []
    return run_files.coded_with((dataset, codec) for codec in CODECS)


def start_of(wildcards):
    """The model whose weights a training starts from, if any."""
    start = model_of(wildcards).get("start_from")
    return layout.model(start) if start else []


def model_of(wildcards):
    """The model's entry in the configuration."""
    return config["models"][wildcards.model]


def url_of_weights(wildcards):
    """The address of published weights."""
    return PUBLISHED_WEIGHTS[wildcards.weights]["url"]


def hash_of_weights(wildcards):
    """The hash that the configuration gives for published weights, if it gives one."""
    return PUBLISHED_WEIGHTS[wildcards.weights].get("sha256")


def recipe_of(wildcards):
    """What decides how a model turns out, beside its own entry."""
    return asdict(recipe.Recipe.of(model_of(wildcards), config["training"]))


def training_options(wildcards, threads):
    """How a training is run and watched, which changes no model.

    Snakemake compares no parameter that depends on threads, so a change of these trains nothing anew.
    """
    watching = config["training"].keys() - recipe.Recipe.__annotations__.keys()
    return {key: config["training"][key] for key in sorted(watching)} | {
        "device": config["device"]
    }


def trainings_in_print(wildcards):
    """The models that are trained here, by lambda and widths; with their names, where these are alike."""
    entries = [config["models"][name] for name in run_files.trained]
    names = [
        f"λ = {entry['lmbda']:g}, N = {entry['N']}, M = {entry['M']}"
        for entry in entries
    ]
    if len(set(names)) == len(names):
        return names
    return [f"{model}: {name}" for model, name in zip(run_files.trained, names)]


# Refinement


def refinements_of(wildcards):
    """The refinements that a job does, as plain values that Snakemake can compare between runs."""
    return as_values(
        run_files.refinements_of(wildcards.dataset, wildcards.model, wildcards.part)
    )


def refinements_to_decode(wildcards):
    """The refinements of a job whose bitstreams are decoded, as plain values."""
    return as_values(
        run_files.to_decode(wildcards.dataset, wildcards.model, wildcards.part)
    )


def distances_to_decode(wildcards):
    """The distances by which a job's decoded bitstreams are measured, too."""
    return run_files.distances_of_job(
        wildcards.dataset, wildcards.model, wildcards.part
    )


def distances_of_codec(wildcards):
    """The distances by which a classical codec on a data set is measured, too."""
    return run_files.distances_of_codec(wildcards.dataset, wildcards.codec)


def as_values(refinements):
    """Refinements as a rule's parameter holds them."""
    return [asdict(each) | {"record": sorted(each.record)} for each in refinements]


def variants_of(wildcards):
    """What a job does, for its message."""
    own = lmbda_of(wildcards)
    done = run_files.refinements_of(wildcards.dataset, wildcards.model, wildcards.part)
    return ", ".join(described(refinement, own) for refinement in done)


def lmbda_of(wildcards):
    """The lambda that the model was trained for."""
    return config["models"][wildcards.model]["lmbda"]


def centre_of(wildcards):
    """The point that the model's hyper-latents are rounded around."""
    return config["models"][wildcards.model].get("centre", "medians")


def roundings_of(wildcards):
    """The versions of the roundings that a job uses."""
    done = refinements_of(wildcards)
    return versions_of(each["settings"]["rounding"] for each in done)


def refinement_options(wildcards, threads):
    """How a refinement is run, which changes no result.

    Snakemake compares no parameter that depends on threads, so a change of these refines nothing anew.
    """
    return {key: config["refinement"][key] for key in ("memory_mb", "cuda_graphs")}


@in_a_sentence
def records_of_run(wildcards):
    """The records of all jobs."""
    return run_files.records()


@in_a_sentence
def records_of_jobs(wildcards):
    """The records of all jobs that do refinements of the experiment."""
    return run_files.records(wildcards.experiment)


def selected_by(wildcards):
    """The keys of the experiment's refinements."""
    return run_files.selected[wildcards.experiment]


# Experiments


def entry_of(wildcards):
    """The experiment's entry in the configuration."""
    return config["experiments"][wildcards.experiment]


def methods_of(wildcards):
    """The entries of the methods that the experiment names."""
    return {name: config["methods"][name] for name in entry_of(wildcards)["methods"]}


def name_in_report(wildcards):
    """The experiment's title; with its name, where another one has the same title. The report shows one of a title."""
    title = entry_of(wildcards)["title"]
    titles = [entry["title"] for entry in config["experiments"].values()]
    return title if titles.count(title) == 1 else f"{title} ({wildcards.experiment})"


def labels_of_table(wildcards):
    """What a table is called in the report."""
    return {"table": name_in_report(wildcards)}


# Of a label with two values the report makes a switch, and fails where a figure has but one of them.
def labels_of_figure(wildcards):
    """What a figure is called in the report, as pixels."""
    return {"figure": name_in_report(wildcards), "format": "PNG"}


def labels_of_vector_figure(wildcards):
    """What a figure is called in the report, as vector graphics. Of the two the first in the alphabet is shown."""
    return {"figure": name_in_report(wildcards), "format": "vector graphics (PDF)"}


def figure_shows(wildcards):
    """What the experiment's figure shows, for its caption."""
    return kinds.find("figure", entry_of(wildcards)["figure"]).caption


def table_shows(wildcards):
    """What the experiment's table shows, for its caption."""
    return kinds.find("table", entry_of(wildcards)["table"]).caption


def records_to_draw(wildcards):
    """The records that a figure reads, if it reads any."""
    if "dataset" in entry_of(wildcards):
        return layout.records(wildcards.experiment)
    return []


@in_a_sentence
def coded_of(wildcards):
    """The records of the classical codecs that the experiment is compared with."""
    return run_files.coded(wildcards.experiment)


@in_a_sentence
def decoded_of(wildcards):
    """The records of the experiment's decoded bitstreams, if its quality needs them."""
    return run_files.decoded(wildcards.experiment)


@in_a_sentence
def decoded_of_judged(wildcards):
    """The records of the decoded bitstreams of experiments with claims."""
    return run_files.decoded(*run_files.judged)


@in_a_sentence
def coded_of_judged(wildcards):
    """The records of the classical codecs that experiments with claims are compared with."""
    return run_files.coded(*run_files.judged)


def drawn_roundings(wildcards):
    """The versions of the roundings that a figure draws itself, where it draws no records: Figure 1."""
    if kinds.find("figure", entry_of(wildcards)["figure"]).refines:
        return {}
    return versions_of(method["rounding"] for method in methods_of(wildcards).values())


def code_of_figure(wildcards):
    """The versions of the code that draws the experiment's figure: of the script, and of the kind."""
    kind = entry_of(wildcards)["figure"]
    pictures = wildcards.experiment in run_files.with_pictures
    script = "draw_qualitative" if pictures else "draw_figure"
    return [code_of_script(script), code_of_kind("figure", kind)]


def code_of_table(wildcards):
    """The versions of the code that makes the experiment's table: of the script, and of the kind."""
    return [
        code_of_script("make_table"),
        code_of_kind("table", entry_of(wildcards)["table"]),
    ]


def code_of_checks(wildcards):
    """The versions of the code that judges claims: of the script, and of each check."""
    checks = sorted({claim["check"] for claim in config["claims"].values()})
    return [
        code_of_script("judge_claims"),
        *(code_of_kind("check", check) for check in checks),
    ]


@in_a_sentence
def streams_of(wildcards):
    """The bitstreams of all refinements that the experiment selects."""
    return run_files.streams(wildcards.experiment)


def index_of_pictures(wildcards):
    """The index of the experiment's data set."""
    return layout.index(entry_of(wildcards)["dataset"])


def models_of(wildcards):
    """The models that the experiment names, in its order."""
    return [layout.model(model) for model in entry_of(wildcards)["models"]]


# The comparison of pictures, which has no wildcards


def experiment_of_comparison(wildcards):
    """The entry of the experiment whose pictures are compared."""
    return config["experiments"][config["comparison"]["experiment"]]


def label_of_comparison(wildcards):
    """The name in print of the method that refined them."""
    return config["methods"][config["comparison"]["method"]]["label"]


def records_of_comparison(wildcards):
    """The experiment's records."""
    return layout.records(config["comparison"]["experiment"])


@in_a_sentence
def streams_of_comparison(wildcards):
    """The bitstreams of all refinements that the experiment selects."""
    return run_files.streams(config["comparison"]["experiment"])


def index_of_comparison(wildcards):
    """The index of the experiment's data set."""
    return layout.index(experiment_of_comparison(wildcards)["dataset"])


def models_of_comparison(wildcards):
    """The models that the experiment names, in its order."""
    return [
        layout.model(model) for model in experiment_of_comparison(wildcards)["models"]
    ]
