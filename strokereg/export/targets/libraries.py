"""Fetch the two JavaScript libraries of the web page with npm, once, and keep them in the cache.

They are 17 MB, too much for the repository or a wheel. npm checks its downloads against the registry, and this module
checks that each file has the digest with which the page was tested. No other file gets into a page.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from strokereg.core.storage.cache import cache_folder, sha256_of
from strokereg.core.storage.files import replacing
from strokereg.registry.errors import InputError


@dataclass(frozen=True)
class Library:
    """A package of npm.

    Attributes:
        package, version: as npm names them.
        licence, url: for the notice beside the page.
        files: name in the page → (path in the package, its SHA-256).
    """

    package: str
    version: str
    licence: str
    url: str
    files: dict[str, tuple[str, str]]


LIBRARIES = (
    Library(
        "onnxruntime-web",
        "1.30.0",
        "MIT, Copyright (c) Microsoft Corporation",
        "https://github.com/microsoft/onnxruntime",
        {
            "onnxruntime.js": (
                "dist/ort.wasm.bundle.min.mjs",
                "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
            ),
            "onnxruntime.wasm": (
                "dist/ort-wasm-simd-threaded.wasm",
                "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
            ),
        },
    ),
    Library(
        "@niivue/niivue",
        "0.69.0",
        "BSD-2-Clause, Copyright (c) niivue authors",
        "https://github.com/niivue/niivue",
        {"niivue.js": ("dist/index.js", "d6c2be4feb1ad53b2ac76b4196da8d8fd2263b662b511c55ca0fd127eb6a6532")},
    ),
)


def libraries() -> Path:
    """The folder with the tested files of the libraries; fetches those that are missing.

    Raises:
        InputError: npm is missing or fails, the cache cannot be written, or a file is not the tested one.
    """
    folder = cache_folder() / "web"
    for library in LIBRARIES:
        if not all(_is_tested(folder / name, digest) for name, (_, digest) in library.files.items()):
            _fetch(library, folder)
    return folder


def notice() -> str:
    """Names and licences of the libraries, as a text beside them."""
    lines = [f"{one.package} {one.version}\n  {one.licence}\n  {one.url}\n" for one in LIBRARIES]
    return "Fetched from npm, unchanged but for the names of the files.\n\n" + "\n".join(lines)


def _fetch(library: Library, folder: Path) -> None:
    wanted = f"{library.package}@{library.version}"
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(
            "--format web: needs npm once, for the two libraries of the page, and it is not on PATH; install Node.js"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as place:
            words = [npm, "pack", wanted, "--silent", "--ignore-scripts", "--pack-destination", place]
            done = subprocess.run(
                words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, cwd=place
            )
            packed = next(Path(place).glob("*.tgz"), None)
            if done.returncode or packed is None:
                raise InputError(f"--format web: npm could not fetch {wanted}{_reason(done.stderr)}; try again online")
            with tarfile.open(packed) as archive:
                for name, (path, digest) in library.files.items():
                    _take(archive, f"package/{path}", folder / name, digest, wanted)
    except (OSError, tarfile.TarError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{folder}: {wanted} cannot be kept there ({reason}); set STROKEREG_CACHE") from error


def _take(archive: tarfile.TarFile, member: str, path: Path, digest: str, wanted: str) -> None:
    """Extract one member by its exact name; the archive has no say in where the file goes."""
    try:
        source = archive.extractfile(member)
    except KeyError:
        source = None
    content = source.read() if source else b""
    if hashlib.sha256(content).hexdigest() != digest:
        raise InputError(f"--format web: {wanted} from npm does not hold the file that was tested; update strokereg")
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _is_tested(path: Path, digest: str) -> bool:
    return path.is_file() and sha256_of(path) == digest


def _reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return f" ({lines[-1].removeprefix('npm error').strip()})" if lines else ""
