"""Bundles by name: embedded, downloaded, chosen for scans."""

from __future__ import annotations

import io
import sys
import urllib.error
import urllib.request
from hashlib import sha256

import pytest

from strokereg.export.runtime import bundles as module
from strokereg.export.runtime.bundles import default_model, model_file
from strokereg.registry.catalogue import BUNDLES, Catalogue
from strokereg.registry.errors import InputError
from strokereg.registry.installed import Entry, Installed
from strokereg.registry.specs import BundleSpec

CONTENT = b"a network"
URL = "https://acme.example/net.onnx"


@pytest.fixture
def register(monkeypatch):
    """Make these the only bundles."""

    def put(*specs):
        entries = tuple(Entry(spec, "acme", "1.0") for spec in specs)
        monkeypatch.setattr(module, "_bundles", lambda: Catalogue(Installed(entries, ()), BUNDLES))

    return put


def bundle(name="acme-net", **fields):
    return BundleSpec(name=name, summary="", contrasts=("dwi",), **fields)


@pytest.fixture
def server(monkeypatch, tmp_path):
    """Answers downloads; a list of the addresses that were asked for."""
    monkeypatch.setenv("STROKEREG_CACHE", str(tmp_path / "cache"))
    asked = []

    def answer(url, timeout):
        asked.append(url)
        return io.BytesIO(CONTENT)

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    return asked


def test_a_path_stays_a_path(tmp_path, register):
    register()
    assert model_file("missing.onnx").name == "missing.onnx"
    assert model_file(tmp_path / "folder" / "net") == tmp_path / "folder" / "net"


def test_without_pluggy_a_bundle_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "strokereg.registry.catalogue", None)
    with pytest.raises(InputError, match=r"bundles need .* --model FILE"):
        model_file("sim-dwi")


def test_an_unknown_name_lists_what_there_is(register):
    register(bundle(file="x.onnx"))
    with pytest.raises(InputError, match=r"acme-ne: no such file.*did you mean.*bundles are: acme-net"):
        model_file("acme-ne")


def test_an_embedded_file_is_found_by_its_name(tmp_path, register):
    file = tmp_path / "net.onnx"
    file.write_bytes(CONTENT)
    register(bundle(file=str(file), sha256=sha256(CONTENT).hexdigest()))
    assert model_file("acme-net") == model_file("acme:acme-net") == file
    file.write_bytes(b"another")
    with pytest.raises(InputError, match=r"net\.onnx has changed"):
        model_file("acme-net")
    file.unlink()
    with pytest.raises(InputError, match=r"net\.onnx is missing"):
        model_file("acme-net")


def test_a_download_is_checked_and_kept(register, server):
    register(bundle(url=URL, sha256=sha256(CONTENT).hexdigest()))
    path = model_file("acme-net")
    assert path.read_bytes() == CONTENT
    assert model_file("acme-net") == path
    assert server == [URL]


def test_a_download_that_is_not_the_published_file_is_not_kept(register, server, tmp_path):
    register(bundle(url=URL, sha256="0" * 64))
    with pytest.raises(InputError, match="not the published file"):
        model_file("acme-net")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_without_a_network_the_address_is_named(register, server, monkeypatch):
    register(bundle(url=URL, sha256="0" * 64))

    def refuse(url, timeout):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(InputError, match=f"cannot be downloaded.*no route.*fetch {URL}"):
        model_file("acme-net")


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["a_dwi", "a_adc", "b_dwi", "b_adc"], "sim-dwi-adc"),
        (["a_dwi", "a_adc", "b_dwi"], "sim-dwi"),
        (["a_dwi"], "sim-dwi"),
    ],
)
def test_the_default_takes_adc_if_every_scan_has_one(tmp_path, register, files, chosen):
    for name in files:
        (tmp_path / f"{name}.nii.gz").touch()
    models = []
    for name in ("sim-dwi", "sim-dwi-adc"):
        (tmp_path / f"{name}.onnx").touch()
        models.append(bundle(name, file=str(tmp_path / f"{name}.onnx")))
    register(*models)
    assert default_model([tmp_path], {}).stem == chosen
    assert default_model([tmp_path / "a_dwi.nii.gz"], {}).stem == ("sim-dwi-adc" if "a_adc" in files else "sim-dwi")


@pytest.mark.parametrize(("images", "chosen"), [({"DWI": "x"}, "sim-dwi"), ({"dwi": "x", "ADC": "y"}, "sim-dwi-adc")])
def test_the_default_follows_the_images_that_are_given(tmp_path, register, images, chosen):
    models = []
    for name in ("sim-dwi", "sim-dwi-adc"):
        (tmp_path / f"{name}.onnx").touch()
        models.append(bundle(name, file=str(tmp_path / f"{name}.onnx")))
    register(*models)
    assert default_model([], images).stem == chosen


def test_without_a_default_a_model_must_be_named(register):
    register(bundle("sim-dwi-adc", file="x.onnx"))
    with pytest.raises(InputError, match="sim-dwi-adc needs an ADC map beside each DWI; add it or give --model FILE"):
        default_model([], {"dwi": "x"})
    register()
    with pytest.raises(InputError, match="no model is named, and sim-dwi is not installed; give --model FILE"):
        default_model([], {"dwi": "x"})
