# Puts the library beside the rules on the path of the plan and of the jobs: it need not be installed.
import io
import os
import sys
import tarfile
from pathlib import Path

from snakemake.sourcecache import HostingProviderFile


def checkout_of(rules):
    """The folder of the workflow's files.

    Snakemake reads a workflow on GitHub or GitLab file by file; then it is made where the user is.

    Args:
        rules: The folder of the rules, as Snakemake knows it.
    """
    if not isinstance(rules, HostingProviderFile):
        return Path(os.path.abspath(rules.get_path_or_uri(secret_free=True))).parents[1]
    repository = rules.hosted_repo.repo
    commit = repository.commit(rules.ref).hexsha
    folder = Path(".snakemake/sgaplus", commit).absolute()
    if not folder.is_dir():
        files = io.BytesIO()
        repository.archive(files, commit)
        files.seek(0)
        unfinished = folder.with_name(f"{commit}.{os.getpid()}")
        tarfile.open(fileobj=files).extractall(unfinished, filter="data")
        unfinished.rename(folder)
    return folder


CHECKOUT = checkout_of(workflow.current_basedir)

sys.path.insert(0, str(CHECKOUT / "workflow"))
# before the packages of the jobs' environment, where an older sgaplus may be
on_path = [sys.path[0], os.environ.get("PYTHONPATH")]
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, on_path)))
# for envs/sgaplus.post-deploy.sh, of which Snakemake runs a copy
os.environ.update(SGAPLUS_CHECKOUT=str(CHECKOUT))
