"""Records made up of known losses and curves, and the verdict on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sgaplus.analysis.experiment import Claim
from sgaplus.artifacts import claims
from tests.synthetic import results

LABELS = {
    **{"ste": "STE", "sga": "SGA", "ssl": "SSL", "linear": "Linear", "cosine": "Cosine"},
    **{"linear3": "Linear 3", "ssl3": "SSL 3"},
}

IMAGES = 12

NOISE = np.linspace(-1, 1, IMAGES)
"""A deviation for each image, of mean 0; its interval is 0.42 to either side."""

Loss = float | Sequence[float]
"""A loss of all images, or one for each."""


def row(method: str, image: int, step: int, loss: float, **fields) -> dict:
    same = {"dataset": "photos", "model": "m", "model_lmbda": 0.01, "target_lmbda": 0.01, "seed": 0, "parameters": "{}"}
    level = image / 10  # images differ far more than methods do
    losses = {"true_loss": level + loss, "method_loss": level + loss}
    return same | {"method": method, "image": f"image{image:02}", "step": step, **losses} | fields


def of_images(loss: Loss) -> list[float]:
    return list(np.broadcast_to(loss, IMAGES))


def at_steps(*steps: int, **courses: Sequence[Loss]) -> pd.DataFrame:
    """Records of these steps: the course of the loss of each method."""
    return pd.DataFrame(
        [
            row(method, image, step, loss)
            for method, course in courses.items()
            for step, losses in zip(steps, course, strict=True)
            for image, loss in enumerate(of_images(losses))
        ]
    )


def losses(**ends: Loss) -> pd.DataFrame:
    """Records of step 0 and 10: the loss at which each method ends."""
    return at_steps(0, 10, **{method: (2.0, end) for method, end in ends.items()})


def swept(step: int = 10, **ends: dict[float, Loss]) -> pd.DataFrame:
    """Records of one step: the loss of each method at each value of tau_max."""
    return pd.DataFrame(
        [
            row(method, image, step, loss, tau_max=value)
            for method, values in ends.items()
            for value, losses in values.items()
            for image, loss in enumerate(of_images(losses))
        ]
    )


SWEEP = {"sweep": {"tau_max": [0.2, 0.5, 1.0]}}


LMBDAS = (0.01, 0.02, 0.04)

MODELS = {"models": [f"m{lmbda}" for lmbda in LMBDAS]}


def curve(method: str, step: int, rate: Loss, psnr: float = 0.0) -> list[dict]:
    """A curve of three models: rates are this share of 0.1, 0.2 and 0.4 bpp, and PSNR is so much higher."""
    return [
        row(
            *(method, image, step, 1.0),
            **{"model": f"m{lmbda}", "model_lmbda": lmbda, "target_lmbda": lmbda, "bpp": share * bpp},
            psnr=30 + 10 * bpp + image / 10 + psnr,
        )
        for lmbda, bpp in zip(LMBDAS, (0.1, 0.2, 0.4), strict=True)
        for image, share in enumerate(of_images(rate))
    ]


def judged(
    records: pd.DataFrame, check: str, experiment: dict | None = None, coded: pd.DataFrame | None = None, **claim
) -> claims.Judged:
    entry = {"text": "So it is.", "source": "Section 1", "experiment": "e", "check": check}
    methods = {name: {"label": label} for name, label in LABELS.items()}
    shown = results(
        records, {"steps": [10], "models": ["m"], "methods": list(LABELS)} | (experiment or {}), methods, coded
    )
    return claims.judge(shown, Claim.of(entry | claim))


def verdict(records: pd.DataFrame, check: str, experiment: dict | None = None, **claim) -> str:
    return judged(records, check, experiment, **claim).verdict
