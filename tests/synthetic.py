"""Records made up, with effects that tests can look for: rates fall over the steps by a gain that each method has.

The base models lie on R = A * D^-1.5 at the slope of their lambda, A being the image's detail. A
refinement moves along that curve toward its target, saves bits, and pays for a target that is far.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sgaplus.analysis.experiment import Experiment
from sgaplus.analysis.published import Published
from sgaplus.artifacts.results import Results
from sgaplus.paths import shipped

LMBDAS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08)
METHODS: dict[str, dict[str, Any]] = {
    "ste": {"label": "STE", "rounding": "ste", "parameters": {}, "color": "#999999", "marker": "v"},
    "uniform": {"label": "Uniform noise", "rounding": "uniform", "parameters": {}, "color": "#56B4E9", "marker": "s"},
    "sga": {"label": "SGA", "rounding": "sga", "parameters": {}, "tau_max": 0.5, "color": "#0072B2", "marker": "D"},
    "linear": {"label": "Linear", "rounding": "linear", "parameters": {}, "color": "#E69F00", "marker": "<"},
    "ssl": {"label": "SSL", "rounding": "ssl", "parameters": {"a": 2.3}, "color": "#D55E00", "marker": "o"},
    "linear3": {
        **{"label": "Three-class linear", "rounding": "linear3", "parameters": {"r": 0.98, "n": 1.5}},
        **{"color": "#B8860B", "marker": "1"},
    },
    "ssl3": {
        **{"label": "Three-class SSL", "rounding": "ssl3", "parameters": {"a": 1.4, "r": 0.65, "n": 1.4}},
        **{"color": "#CC79A7", "marker": "3"},
    },
}
GAINS = {"ste": 0.03, "uniform": 0.08, "sga": 0.13, "linear": 0.14, "linear3": 0.15, "ssl": 0.16, "ssl3": 0.16}
LABELS = {name: method["label"] for name, method in METHODS.items()}
WIDTH, HEIGHT = 768, 512


def refined(
    methods: Sequence[str] = ("sga", "ssl"),
    lmbdas: Sequence[float] = (0.01,),
    targets: Sequence[float] = (),
    steps: Sequence[int] = (0, 100, 500, 1000, 2000),
    images: int = 6,
    seeds: Sequence[int] = (0,),
    dataset: str = "kodak",
    sweep: Mapping[str, Sequence[float]] | None = None,
    last: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Records of every method (with every value of the sweep), model, target, image and seed.

    ``last`` has the last step of methods that end before the others.
    """
    random = np.random.default_rng(0)
    details = random.uniform(0.6, 1.6, size=images)
    luck = random.normal(1, 0.05, size=(images, max(seeds) + 1))
    rows = []
    for method, lmbda, image, seed in itertools.product(methods, lmbdas, range(images), seeds):
        for target, (settings, gain), step in itertools.product(targets or [lmbda], _variants(method, sweep), steps):
            saved = gain * luck[image, seed] * (1 - np.exp(-step / 400))
            rows.append(
                {
                    **{"dataset": dataset, "image": f"image{image:02}", "width": WIDTH, "height": HEIGHT},
                    **{"model": f"model_lmbda{lmbda:g}", "model_lmbda": lmbda, "target_lmbda": target},
                    **{"method": method, "rounding": METHODS[method]["rounding"], "seed": seed, "step": step},
                    **settings,
                    **_measured(details[image], lmbda, target, saved, step, max(steps)),
                }
            )
    records = pd.DataFrame(rows)
    return records[records["step"] <= records["method"].map(last or {}).fillna(max(steps))]


def _variants(method: str, sweep: Mapping[str, Sequence[float]] | None) -> Iterator[tuple[dict[str, Any], float]]:
    """Settings and final gain, which falls with the distance of swept values from the method's own."""
    for values in itertools.product(*(sweep or {}).values()):
        settings = {"tau_max": METHODS[method].get("tau_max", 1.0), "tau_rate": 1e-3, "lr": 5e-3}
        own = METHODS[method]["parameters"]
        swept = dict(zip(sweep or {}, values, strict=True))
        changed = {name: value for name, value in swept.items() if (settings | own)[name] != value}
        loss = sum(0.02 * abs(np.log(value / (settings | own)[name])) for name, value in changed.items())
        parameters = own | {name: value for name, value in swept.items() if name in own}
        settings |= {name: value for name, value in swept.items() if name in settings}
        variant = "_".join([method, *(f"{name}{value:g}" for name, value in changed.items())])
        yield {**settings, "variant": variant, "parameters": json.dumps(parameters)}, GAINS[method] - loss


def _measured(detail: float, lmbda: float, target: float, saved: float, step: int, last: int) -> dict[str, Any]:
    way = 1 - np.exp(-step / 100)
    slope = lmbda ** (1 - way) * target**way
    mse = (100 * detail / slope) ** 0.4
    bpp = detail * 67 * mse**-1.5 * (1 - saved) * (1 + 0.02 * way * np.log(target / lmbda) ** 2)
    loss = bpp + target * mse
    estimated = bpp * WIDTH * HEIGHT / 8
    return {
        **{"bpp": bpp, "mse": mse, "mse_unclamped": mse, "psnr": 10 * np.log10(255**2 / mse)},
        **{"true_loss": loss, "method_loss": loss + 0.05 * np.exp(-step / 300)},
        **{"batch": 2, "seconds": 0.2 * step, "peak_memory_mb": 900.0, "joules": float("nan")},
        **{"device": "cpu", "hardware": "a processor"},
        "bytes": round(1.015 * estimated) + 40 if step in (0, last) else None,
    }


def decoded(records: pd.DataFrame) -> pd.DataFrame:
    """Records of what bitstreams decode to, of base models and last steps.

    In dB, half the PSNR is the MS-SSIM, a third the HaarPSI, and a quarter the LPIPS; there is no DISTS.
    """
    last = records["step"] == records["step"].max()
    base = records[records["step"] == 0].drop_duplicates(["image", "model"])
    rows = pd.concat([base.assign(target_lmbda=np.nan, variant=None, seed=np.nan), records[last]])
    kept = ["dataset", "image", "width", "height", "model", "target_lmbda", "variant", "seed", "step"]
    measures = {"ms_ssim": 1 - 10 ** (-rows["psnr"] / 20), "haarpsi": 1 - 10 ** (-rows["psnr"] / 30)}
    measures |= {"lpips": 10 ** (-rows["psnr"] / 40), "dists": np.nan}
    seconds = {"encode_seconds": np.where(rows["step"] == 0, 0.4, np.nan), "decode_seconds": 0.8}
    return rows[kept].assign(**measures, **seconds, threads=1, hardware="a processor")


def coded(
    factors: Mapping[str, float], dataset: str = "demo", images: int = 6, variants: Sequence[str] = ("",)
) -> pd.DataFrame:
    """Records of classical codecs whose rate is these factors of the base models', a setting for each of their points.

    Of several variants the first is better at low rates, the last at high ones.
    """
    base = refined(("ssl",), LMBDAS, steps=(0,), images=images)
    rows = []
    for (codec, factor), variant in itertools.product(factors.items(), variants):
        for row in base.to_dict("records"):
            place = np.log(row["model_lmbda"] / 0.01) * (1 if variant == variants[0] else -1)
            worse = 1 + (0.1 * max(place, 0) if len(variants) > 1 else 0)
            rows.append(
                {
                    **{name: row[name] for name in ("image", "width", "height", "psnr", "mse")},
                    **{"ms_ssim": 1 - 10 ** (-row["psnr"] / 20), "haarpsi": 1 - 10 ** (-row["psnr"] / 30)},
                    **{"lpips": 10 ** (-row["psnr"] / 40), "dists": np.nan},
                    **{"dataset": dataset, "codec": codec, "variant": variant, "setting": 1000 * row["model_lmbda"]},
                    **{"bpp": factor * worse * row["bpp"], "encode_seconds": 0.1, "decode_seconds": 0.01},
                    "hardware": "a processor",
                }
            )
    return pd.DataFrame(rows)


PUBLISHED = Published.read(*(shipped(f"config/published_{what}.csv") for what in ("rd", "losses", "pictures")))


def results(
    records: pd.DataFrame,
    entry: Mapping[str, Any],
    methods: Mapping[str, Any] = METHODS,
    coded: pd.DataFrame | None = None,
    decoded: pd.DataFrame | None = None,
) -> Results:
    """Results of an experiment with this entry; what it leaves out of an entry's lists is empty."""
    filled = {"title": "An experiment", "seeds": [0], "dataset": "demo", "models": ["model_lmbda0.01"]} | dict(entry)
    nothing = pd.DataFrame()
    beside = (nothing if rows is None else rows for rows in (coded, decoded))
    return Results(Experiment.of(filled), methods, records, PUBLISHED, *beside)
