"""Errors that tell a user which file or key is wrong, what is wrong, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


class SgaplusError(Exception):
    """Base of every error that a user can mend; its text is meant to be read without a traceback."""


class ConfigError(SgaplusError):
    """A key or value of the configuration."""


class ImageError(SgaplusError):
    """An image file, or a folder of them."""


class UnknownImagesError(ImageError):
    """Images that are not there yet, or whose number is not known yet."""


class ManifestError(SgaplusError):
    """A row of the manifest of data sets."""


class MissingFileError(SgaplusError):
    """A file of the manifest that is not there."""


class WrongFileError(SgaplusError):
    """A file that is not the one that the manifest describes.

    Attributes:
        wrong: What is wrong with it, without its name.
        if_changed: What to do if its publisher changed it.
    """

    def __init__(self, path: object, wrong: str, if_changed: str = "correct config/datasets.csv") -> None:
        super().__init__(
            f"{path}: {wrong}. Delete the file to download it again; if its publisher changed it, {if_changed}."
        )
        self.wrong, self.if_changed = wrong, if_changed


class DownloadError(SgaplusError):
    """A file that can't be downloaded."""


class ArchiveError(SgaplusError):
    """A zip or tar file that is broken, or that asks for what no archive of images needs."""


class DiskError(SgaplusError):
    """A disk without room."""


class CodecError(SgaplusError):
    """A model file."""


class MissingModelError(CodecError):
    """A model file that is not there."""


class WeightsError(SgaplusError):
    """Weights of a distance between pictures that are missing, or are not those that are published."""


class DeviceError(SgaplusError):
    """A device that is not there."""


class BitstreamError(SgaplusError):
    """A bitstream that can't be decoded, or latents that no bitstream can carry."""


class RefinementError(SgaplusError):
    """A refinement that can't go on."""


class RecordError(SgaplusError):
    """Records that lack a value which is asked for."""


class TrainingError(SgaplusError):
    """A training that can't go on."""


def with_remedy(error: SgaplusError, remedies: Mapping[type[SgaplusError], str]) -> str:
    """An error's sentence, in the place of ``{}`` in the remedy for its class, if there is one."""
    return remedies.get(type(error), "{}").format(error)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest known name as a question, and all of them: the tail of an error's sentence."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    question = f" Did you mean {near[0]!r}?" if near else ""
    return f"{question} Known: {', '.join(known) or 'none'}."
