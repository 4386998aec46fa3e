# Checks the configuration, finds which files it asks for, and holds what the rules of several stages share.
import os
import shutil
import sys
from dataclasses import asdict
from functools import cache, wraps
from pathlib import Path

from snakemake import cli
from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

from sgaplus import code_version, paths, stale_lock
from sgaplus.artifacts import kinds
from sgaplus.codec.classical_codecs import CODECS
from sgaplus.config import (
    hours,
    needed,
    on_disk,
    plan,
    references,
    targets,
    user_files,
)
from sgaplus.config.layout import CODEC_JOB, NAME, REFINEMENT_JOB, one_of
from sgaplus.config.run_files import RunFiles, described
from sgaplus.data import datasets as data_sets
from sgaplus.data import inventory, manifest
from sgaplus.data.remote import RemoteFile
from sgaplus.errors import SgaplusError
from sgaplus.files import is_text
from sgaplus.refinement import rounding_source
from sgaplus.training import recipe

# Threads that spin while they wait stop each other where jobs share cores: two trainings of two threads on two
# cores ran four times slower. Jobs inherit it, and it is read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if workflow.modifier.path_modifier.prefix is not None:
    raise WorkflowError(
        "prefix: not supported. Name the folder below results/ by `run` in the configuration."
    )

# The files of the configuration, in the order in which they are laid over one another; Snakemake has read them.
ON_COMMAND_LINE = len(workflow.config_settings.configfiles)
CONFIGFILES = [
    *workflow.configfiles[ON_COMMAND_LINE:],
    *workflow.configfiles[:ON_COMMAND_LINE],
]

# Of a module whose configuration is given, Snakemake reads no file: what is given lies over the paper's.
if workflow.modifier.skip_configfile:
    changes, config = config, load_configfile(PAPER)
    update_config(config, changes)

try:
    MANIFEST = manifest.read()
    if workflow.is_main_process:
        for file in CONFIGFILES:
            user_files.check(file)
    given = user_files.arranged(config, CONFIGFILES[0]) if CONFIGFILES else config
    config = references.validated(given)
    DATA = Path(os.path.expanduser(config["data_folder"]))
    SOURCES = data_sets.sources(config["datasets"], MANIFEST)
    if workflow.is_main_process:
        on_disk.check(config, SOURCES, DATA)
    run_files = RunFiles(config, SOURCES)
except SgaplusError as error:
    said = workflow.config_settings.config
    raise WorkflowError(user_files.located(error, CONFIGFILES, said)) from None

layout = run_files.layout
GPU = 0 if config["device"] == "cpu" else 1
PUBLISHED = [
    str(paths.found(f"config/published_{what}.csv"))
    for what in ("rd", "losses", "pictures")
]
# whose records are made: nobody's, where another run has made them
MADE_HERE = one_of([]) if layout.made else NAME
ENVIRONMENT = str(CHECKOUT / "envs/sgaplus.yaml")


wildcard_constraints:
    dataset=NAME,
    model=NAME,
    experiment=NAME,
    part=r"\d+",
    chunk=r"\d+",


# once for all jobs of a rule
code_of_script = cache(code_version.of_script)
code_of_rounding = cache(rounding_source.code)
code_of_kind = cache(lambda family, name: kinds.find(family, name).code())


def asked_for():
    """What the user asks Snakemake for; nothing where another program or a job has started it.

    Snakemake tells a workflow too late, when it has found a target that nothing makes. A workflow that uses this one
    as a module may have targets of its own.
    """
    command = Path(sys.argv[0])
    is_asked = workflow.is_main_process and workflow.modifier.is_main_snakefile()
    if not is_asked or "snakemake" not in (command.name, command.parent.name):
        return []
    return cli.get_argument_parser().parse_args(sys.argv[1:]).targets


def in_a_sentence(function):
    """A function, such as one of inputs, whose errors that a user can mend stop Snakemake with their sentence."""

    @wraps(function)
    def wrapped(*arguments):
        try:
            return function(*arguments)
        except SgaplusError as error:
            raise WorkflowError(str(error)) from None

    return wrapped


@in_a_sentence
def check_targets():
    """Stop at a target that nothing makes, with one that the user may have meant."""
    rules_of_all = list(workflow.rules)
    names = {rule.name for rule in rules_of_all}
    is_made = lambda file: any(rule.is_producer(file) for rule in rules_of_all)
    targets.check(asked_for(), names, is_made, run_files.artifacts, config["run"])


def growing(megabytes):
    """The memory of a job that a cluster may run: on each retry more, as too little may have been why it failed."""

    def of_attempt(wildcards, attempt):
        return megabytes * attempt

    return of_attempt


def code_of(script):
    """The version of a script's code; looked up only where a job of its rule is planned."""

    def of_job(wildcards):
        return code_of_script(script)

    return of_job


def versions_of(roundings):
    """The versions of roundings, which code that makes them by their names does not tell."""
    return {name: code_of_rounding(name) for name in sorted(set(roundings))}


def absent(places, suffix=""):
    """A pattern of those places in the data folder where, with the suffix, nothing is yet.

    What is there has no rule that makes it. So Snakemake never deletes it, nor makes it again because
    the code or an address changed, and a file that was put there by hand is used; index_dataset and
    unpack verify it.
    """
    return one_of(place for place in places if not (DATA / f"{place}{suffix}").exists())


def files_of(wildcards):
    """The files that a data set is indexed from, so that a new or changed one is noticed; none if none is there yet.

    Large folders of images are left to their index: stating a million files would slow every start. So are files
    whose names are no text, which Snakemake can't write down.
    """
    try:
        files = SOURCES[wildcards.dataset].inputs(DATA)
    except SgaplusError:
        return []  # the rule says what is wrong
    return [file for file in files if is_text(file)] if len(files) <= 10_000 else []


def parts_of(wildcards):
    """The indexes of the data sets that a data set consists of."""
    return [layout.index(part) for part in SOURCES[wildcards.dataset].needs]


def source_of(wildcards):
    """A data set's entry, without the key that does not change its images."""
    source = config["datasets"][wildcards.dataset]
    return {key: value for key, value in source.items() if key != "archive"}


def archive_of(wildcards):
    """The place of the archive whose images come into a folder."""
    return DATA / manifest.filling(MANIFEST, wildcards.folder).key


def weights_of(wildcards):
    """The file of a model that is not trained here: its path, or the place that its url is downloaded to."""
    entry = config["models"][wildcards.model]
    if "path" in entry:
        return paths.found(os.path.expanduser(entry["path"]))
    return DATA / place_of_weights(wildcards.model)


def place_of_weights(model):
    """The place in the data folder of the weights of a model with a url."""
    return f"models/{model}/{RemoteFile.at(config['models'][model]['url']).name}"
