"""Exported models that plugins bring, by name; the one that is used where no model is named."""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from strokereg.core.scan.contrasts import canonical
from strokereg.core.storage.cache import cache_folder, sha256_of
from strokereg.core.storage.files import replacing
from strokereg.export.runtime.scans import find_scans
from strokereg.registry.errors import InputError, did_you_mean
from strokereg.registry.specs import BundleSpec

if TYPE_CHECKING:
    from strokereg.registry.catalogue import Catalogue

#: Used where no model is named: with ADC where every scan has one, else without.
WITH_ADC, WITHOUT_ADC = "sim-dwi-adc", "sim-dwi"
_SECONDS = 60.0  # without an answer of the server


def model_file(model: Path | str) -> Path:
    """The file of a model: a path, or a bundle's name; a bundle that is not here yet is downloaded.

    Raises:
        InputError: neither a file nor a bundle, or a file that cannot be fetched or is not the published one.
    """
    path = Path(model)
    if path.exists() or path.suffix or len(path.parts) != 1:
        return path
    known = _bundles()
    names = known.available()
    if str(model).rpartition(":")[2] not in [entry.spec.name for entry in known.entries]:
        hint, listed = did_you_mean(str(model), names), ", ".join(names) or "none"
        raise InputError(f"{model}: no such file, and no bundle has this name{hint}; bundles are: {listed}")
    spec = known.find(str(model)).spec
    assert isinstance(spec, BundleSpec)
    return _fetched(spec) if spec.url else _embedded(spec)


def default_model(places: Sequence[Path | str], images: Mapping[str, Path | str]) -> Path:
    """The model for scans that no model is named for: DWI and ADC if every scan has both, else DWI.

    Args:
        places: files and folders with the scans.
        images: contrast → image of a single scan.

    Raises:
        InputError: as of `find_scans`; no such model is installed.
    """
    if images:
        both = "adc" in map(canonical, images)
    else:
        scans = find_scans([Path(place) for place in places], ("dwi", "adc"))
        both = all(len({file for file in scan.files if file.is_file()}) == 2 for scan in scans)
    wanted = (WITH_ADC, WITHOUT_ADC) if both else (WITHOUT_ADC,)
    known = {entry.spec.name for entry in _bundles().entries}
    for name in wanted:
        if name in known:
            return model_file(name)
    if not both and WITH_ADC in known:
        raise InputError(
            f"no model is named, and {WITH_ADC} needs an ADC map beside each DWI; add it or give --model FILE"
        )
    raise InputError(f"no model is named, and {' or '.join(wanted)} is not installed; give --model FILE")


def _bundles() -> Catalogue:
    try:
        from strokereg.registry.catalogue import bundles
    except ModuleNotFoundError as error:  # slim installations may have left it out
        raise InputError(
            f"bundles need {error.name}, which is not installed; install it, or give --model FILE"
        ) from error
    return bundles()


def _embedded(spec: BundleSpec) -> Path:
    path = Path(spec.file)
    if not path.is_file():
        raise InputError(f"{spec.name}: its file {path} is missing; install the package that brings it again")
    if spec.sha256 and sha256_of(path) != spec.sha256:
        raise InputError(f"{spec.name}: its file {path} has changed; install the package that brings it again")
    return path


def _fetched(spec: BundleSpec) -> Path:
    """The file in the cache, downloaded at first use and kept only if it is the published one."""
    path = cache_folder() / "bundles" / f"{spec.name}-{spec.sha256[:16]}.onnx"
    if path.is_file() and sha256_of(path) == spec.sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    fix = f"fetch {spec.url} yourself and give the file with --model"
    with replacing(path) as temporary:
        try:
            with urllib.request.urlopen(spec.url, timeout=_SECONDS) as answer, temporary.open("wb") as file:
                shutil.copyfileobj(answer, file)
        except OSError as error:
            raise InputError(f"{spec.name}: cannot be downloaded ({error}); {fix}") from error
        if sha256_of(temporary) != spec.sha256:
            raise InputError(f"{spec.name}: what was downloaded is not the published file (other SHA-256); {fix}")
    return path
