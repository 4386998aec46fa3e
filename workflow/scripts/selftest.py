"""Compare what a GPU and the CPU compute with a small model, and stop the run if they differ."""

import torch

from sgaplus import devices
from sgaplus.benchmarks import selftest
from sgaplus.files import replacing
from sgaplus.logs import logged, logger
from sgaplus.paths import shipped

LMBDA = 0.01

with logged(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    (device,) = devices.granted(snakemake.params.device, gpus=1)
    lines = ["torch finds no GPU here: nothing to compare"]
    if device.type != "cpu":
        model = shipped(f"workflow/models/small_lmbda{LMBDA:g}.pth")
        compared = selftest.check(model, device, LMBDA, snakemake.params.cuda_graphs)
        lines = [f"{devices.name_of(device)} and the CPU agree", *(one.text for one in compared)]
    logger.info("%s", "; ".join(lines))
    with replacing(snakemake.output.compared) as temporary:
        temporary.write_text("\n".join(lines) + "\n")
