"""The catalogue: finding by name, near misses, clashes, and building."""

from __future__ import annotations

import pickle

import pytest
import torch

import strokereg
from strokereg.registry import catalogue as module
from strokereg.registry.catalogue import Catalogue, find
from strokereg.registry.errors import InputError, RunFailed
from strokereg.registry.factory import read_options
from strokereg.registry.installed import Installed
from strokereg.registry.problem import Problem


def test_names_are_listed_by_role_and_pattern(catalogue_with):
    known = catalogue_with("good")
    translators = known.available("*", role="translator")
    assert translators == sorted(translators)
    assert {"acme", "pix2pix", "spade"} <= set(translators)
    assert known.available("*", role=("translator", "mixer")) == translators + known.available("*", role="mixer")
    assert known.available("spad*") == [name for name in translators if name.startswith("spad")]
    assert known.available("acme-good:*") == ["acme"]
    assert known.available("nothing*") == []
    with pytest.raises(InputError, match=r"no role 'translater' \(did you mean translator\?\)"):
        known.available(role="translater")


def test_an_unknown_name_gets_a_hint_and_the_list(catalogue_with):
    with pytest.raises(InputError, match=r"'pix2pxi' \(did you mean pix2pix\?\); installed are: mask-gan, .*unet"):
        Catalogue().find("pix2pxi")
    with pytest.raises(InputError, match="no model is named 'other:unet'"):
        Catalogue().find("other:unet")
    with pytest.raises(InputError, match="some plugins are broken, see 'strokereg models --broken'"):
        catalogue_with("broken_import").find("acme")
    with pytest.raises(InputError, match=r"installed are: none$"):
        Catalogue(Installed((), ())).find("unet")


def test_a_name_of_another_role_is_refused():
    with pytest.raises(
        InputError, match=r"'unet' is a segmenter, not a translator; installed translators are: .*spade"
    ):
        Catalogue().find("unet", role="translator")
    with pytest.raises(InputError, match="'unet' is a segmenter, not a translator or mixer; installed translators and"):
        Catalogue().find("unet", role=("translator", "mixer"))
    assert Catalogue().find("unet", role="segmenter").spec.dims == (2, 3)


def test_two_claims_on_a_name_name_both_distributions(catalogue_with):
    known = catalogue_with("clashing")
    with pytest.raises(
        InputError, match=r"claimed by acme-clash 2\.0 and strokereg .*; write acme-clash:pix2pix or strokereg:pix2pix"
    ):
        known.find("pix2pix")
    assert known.find("acme_clash:pix2pix").version == "2.0"
    assert known.find("strokereg:pix2pix").spec.factory == "strokereg.plugins.translators.pix2pix:Pix2Pix"
    assert known.available("pix*") == ["acme-clash:pix2pix", "strokereg:pix2pix"]
    assert all(known.find(name) for name in known.available())
    with pytest.raises(RunFailed, match="'pix2pix' is claimed by"):
        known.check()


def test_a_catalogue_in_order_passes_the_strict_check(catalogue_with):
    catalogue_with("good").check()


def test_a_stranger_is_built_and_runs(catalogue_with):
    known = catalogue_with("good")
    model = known.build("acme", Problem(labels=5, channels=2), {"lr": "0.01"})
    assert model.players()["translator"].lr == 0.01
    assert model(torch.zeros(3, 16, 24, dtype=torch.int64)).shape == (3, 2, 16, 24)


def test_what_cannot_be_built_is_told_in_a_sentence(catalogue_with):
    known = catalogue_with("good", "bad_factories")
    for name, options, words in [
        ("acme", {"lrr": 1}, r"acme has no option 'lrr' \(did you mean lr\?\); its options are: lr"),
        ("acme", {"lr": -1}, "acme: option lr=-1: .*greater than 0"),
        (
            "no-module",
            {},
            r"no-module \(acme-factories 0\.1\) names the module 'acme_nowhere.model', which does not exist",
        ),
        ("no-class", {}, "names the class 'Net', which the module 'acme_bad_factories' does not have"),
        ("no-package", {}, "needs the module 'a_package_that_nobody_has', which is not installed"),
        ("no-import", {}, r"cannot be imported \(OSError: libacme.so.3"),
        ("no-network", {}, "builds a NoNetwork and not a torch.nn.Module"),
        ("no-mixer", {}, r"builds a NoNetwork without the method mix\(host, donor, rng\); report"),
        ("no-moves", {}, r"builds a Identity without the method players\(\) and moves\(batch\); report this"),
        ("no-table", {}, "has a class Options that does not derive from strokereg.Options; derive it from that"),
        ("no-default", {}, "no-default: option lr has no default; give it a value"),
        (
            "no-memory",
            {},
            r"no-memory \(acme-factories 0\.1\) cannot be built \(MemoryError: a table of 10 TB\); run 'str",
        ),
        ("no-network", {"lr": 1}, "no-network has no option 'lr'; its options are: none"),
    ]:
        with pytest.raises(InputError, match=words):
            known.build(name, Problem(), options)
    with pytest.raises(InputError, match="acme is built for 2D, not 3D"):
        known.build("acme", Problem(dims=3, size=(16, 16, 16)))


@pytest.fixture
def default(catalogue_with, monkeypatch):
    """The catalogue of this process, with the good plugin in it."""
    known = catalogue_with("good")
    monkeypatch.setattr(module, "catalogue", lambda: known)
    return known


def test_words_and_numbers_name_one_value():
    """Or the command line and Python would train the same thing twice."""
    words = read_options(find("unet"), {"lr": "3e-3", "widths": "8,16"})
    assert words == read_options(find("unet"), {"lr": 0.003, "widths": (8, 16)}) == {"lr": 0.003, "widths": [8, 16]}


def test_create_from_the_package(default):
    model = strokereg.create("acme", role="translator", labels=4, lr=0.5)
    assert (model.count, model.lr) == (4, 0.5)
    for sizes, words in [
        ({"dims": 4}, "acme: option dims=4"),
        ({"labels": 1}, "acme: option labels=1"),
        ({"size": (64,)}, "does not have 2 axes"),
        ({"dims": 3}, "acme is built for 2D, not 3D"),
        ({"role": "segmenter"}, "'acme' is a translator, not a segmenter"),
    ]:
        with pytest.raises(InputError, match=words):
            strokereg.create("acme", **sizes)


def test_build_can_be_sent_to_worker_processes():
    assert pickle.loads(pickle.dumps(module.build)) is module.build


def test_the_default_catalogue_is_loaded_once():
    assert module.catalogue() is module.catalogue()
    assert module.available("unet") == ["unet"]
    assert module.find("unet").origin == f"strokereg {strokereg.__version__}"
