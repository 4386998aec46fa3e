"""The weights that a training starts with: random weights, or the weights of another trained model."""

from __future__ import annotations

from pathlib import Path

import torch
from compressai.models.google import MeanScaleHyperprior

from sgaplus.codec.hyperprior import load_state, widths
from sgaplus.errors import TrainingError
from sgaplus.training.recipe import Recipe
from sgaplus.training.widening import widen

MIDDLE_GRAY = 0.45
"""About the mean of photographs in [0, 1]."""


def fresh_model(recipe: Recipe) -> MeanScaleHyperprior:
    """A model with random weights from the recipe's seed, whose first reconstruction is a middle gray."""
    torch.manual_seed(recipe.seed)
    model = MeanScaleHyperprior(recipe.N, recipe.M)
    with torch.no_grad():
        model.g_a[-1].weight.mul_(recipe.latent_gain)
        model.g_s[0].weight.div_(recipe.latent_gain)
        model.g_s[-1].bias.fill_(MIDDLE_GRAY)
    return model


def start_model(recipe: Recipe, start_from: str | Path | None) -> MeanScaleHyperprior:
    """A fresh model, or a model that computes the function of a trained model, which may be narrower.

    Args:
        recipe: Widths and seed.
        start_from: File of the trained model; None for a fresh model.

    Raises:
        CodecError: the file is not a model.
        TrainingError: the trained model is wider than the recipe's.
    """
    model = fresh_model(recipe)
    if start_from is None:
        return model
    state = load_state(start_from)
    N, M = widths(state)
    if N > recipe.N or M > recipe.M:
        raise TrainingError(
            f"{start_from}: has N = {N}, M = {M}, and the model that starts from it only "
            f"N = {recipe.N}, M = {recipe.M}. Make it as wide, or drop start_from."
        )
    widen(state, model)
    return model
