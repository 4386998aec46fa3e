"""The configuration compared with what is on the disk, as far as that is there."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from sgaplus import distances
from sgaplus.analysis.experiment import Experiment
from sgaplus.config.layout import Layout
from sgaplus.config.needed import used
from sgaplus.data.datasets import Sources, count
from sgaplus.data.formats import SUFFIXES
from sgaplus.data.index import name_of
from sgaplus.data.sources import Published, Source
from sgaplus.errors import ConfigError, ImageError, UnknownImagesError, WeightsError, did_you_mean
from sgaplus.files import shorten
from sgaplus.qualities import DISTANCES

MOST = 1000
"""Images of a data set whose sizes are looked at."""


def check(config: Mapping[str, Any], datasets: Sources, folder: Path) -> None:
    """Refuse what the disk shows to be wrong. What is not there yet is not wrong.

    Args:
        config: A checked configuration.
        datasets: Its data sets.
        folder: Its data folder.

    Raises:
        ConfigError: one line that names the key, what is wrong and what would be right.
    """
    _check_folder(folder)
    if "records" in config:
        _check_records(config)
    for name in sorted(used(config, datasets)):
        _check_archive(name, datasets[name], folder)
        _check_images(name, datasets, folder)
        _check_count(name, datasets)
        _check_crop(name, datasets[name], folder)
    for name, entry in config["experiments"].items():
        experiment = Experiment.of(entry)
        _check_shown(experiment, f"experiments.{name}", datasets, folder)
        if "records" not in config:
            _check_distance(experiment.quality, f"experiments.{name}.quality")
    if config["comparison"]:
        dataset = config["experiments"][config["comparison"]["experiment"]]["dataset"]
        for image in config["comparison"]["images"]:
            _check_image(image, dataset, "comparison.images", datasets, folder)


def _check_folder(folder: Path) -> None:
    try:
        there = next(place for place in (folder, *folder.parents) if place.exists() or place == Path("."))
    except OSError as error:
        raise ConfigError(f"data_folder: {shorten(str(folder))} can't be a folder ({error.strerror}).") from None
    if not there.is_dir():
        raise ConfigError(f"data_folder: {there} is a file. Name a folder.")


def _check_records(config: Mapping[str, Any]) -> None:
    for name, entry in config["experiments"].items():
        file = Path(Layout(config["run"], config["records"]).records(name))
        if "dataset" in entry and not file.is_file():
            raise ConfigError(
                f"records: {file} is not there. Correct the folder, or leave out experiments.{name} by null."
            )


def _check_archive(name: str, source: Source, folder: Path) -> None:
    if isinstance(source, Published) and source.archive is not None and source.unregistered(folder):
        archive = Path(os.path.expanduser(source.archive))
        if not os.path.isfile(archive):
            raise ConfigError(
                f"datasets.{name}.archive: {archive} is no file. Correct the path, or take {name} out of the `parts` "
                "that name it."
            )


def _check_images(name: str, datasets: Sources, folder: Path) -> None:
    """The images that a data set names are there, if that can be told."""
    if datasets[name].images:
        try:
            _names(datasets, folder, name)
        except ImageError as error:
            raise ConfigError(f"datasets.{name}.images: {error}") from None


def _check_count(name: str, datasets: Sources) -> None:
    try:
        datasets[name].check_count(partial(count, datasets))
    except UnknownImagesError:
        pass
    except ImageError as error:
        raise ConfigError(f"datasets.{name}.count: {error}") from None


def _check_crop(name: str, source: Source, folder: Path) -> None:
    """The crop of a data set is no larger than any image that it takes."""
    if source.crop is None:
        return
    across, down = source.crop
    for image, (width, height) in _sizes(source, folder):
        if min(width, height) >= source.min_side and (width < across or height < down):
            raise ConfigError(
                f"datasets.{name}.crop: {across}x{down} is larger than {image}, which has "
                f"{width}x{height} pixels. Choose a smaller one, or leave the image out."
            )


def _sizes(source: Source, folder: Path) -> Iterator[tuple[object, tuple[int, int]]]:
    """Images, or archives of images of one size, with their widths and heights, as far as they are known."""
    if isinstance(source, Published):
        yield from ((row.file, row.size) for row in source.rows if row.size)
    for file in islice(_images(source, folder), MOST):
        if found := _size_of(file):
            yield file, found


def _check_shown(experiment: Experiment, where: str, datasets: Sources, folder: Path) -> None:
    """The image that an experiment shows is in its data set, and the parts that are enlarged in the image."""
    if experiment.image is None or experiment.dataset is None:
        return
    _check_image(experiment.image, experiment.dataset, f"{where}.image", datasets, folder)
    width, height = _size(experiment.image, datasets[experiment.dataset], folder) or (math.inf, math.inf)
    for left, top, across, down in experiment.enlarge:
        if left + across > width or top + down > height:
            raise ConfigError(
                f"{where}.enlarge: {across}x{down} pixels at {left}, {top} are no part of {experiment.image}, which "
                f"has {width}x{height}. Write left, top, width and height within it."
            )


def _check_distance(quality: str, where: str) -> None:
    """The weights of a distance are there: nothing downloads them."""
    try:
        distances.check({quality}.intersection(DISTANCES))
    except WeightsError as error:
        raise ConfigError(f"{where}: {error}") from None


def _check_image(image: str, dataset: str, where: str, datasets: Sources, folder: Path) -> None:
    names = _names(datasets, folder, dataset)
    if names is not None and image not in names:
        near = shorten(did_you_mean(image, names), 300)
        raise ConfigError(f"{where}: no {image!r} in datasets.{dataset}.{near}")


def _names(datasets: Sources, folder: Path, name: str) -> set[str] | None:
    with suppress(UnknownImagesError):
        return datasets[name].known_names(folder, partial(_names, datasets, folder))
    return None


def _size(image: str, source: Source, folder: Path) -> tuple[int, int] | None:
    """Width and height of the used part of an image, if they are known."""
    if source.crop:
        return source.crop
    for file in _images(source, folder):
        if name_of(file) == image:
            return _size_of(file)
    return None


def _size_of(file: Path) -> tuple[int, int] | None:
    """Width and height of an image file. None if it can't be read, as its job will say, or without Pillow."""
    try:
        from sgaplus.data import pictures  # here, because Snakemake's own environment has no Pillow
    except ImportError:
        return None
    with suppress(ImageError):
        return pictures.size(file)
    return None


def _images(source: Source, folder: Path) -> Iterator[Path]:
    """The image files of a source that are there."""
    with suppress(ImageError):
        yield from _files(source.inputs(folder))


def _files(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        inside = sorted(place.iterdir()) if place.is_dir() else [place]
        yield from (file for file in inside if file.suffix.lower() in SUFFIXES and file.is_file())
