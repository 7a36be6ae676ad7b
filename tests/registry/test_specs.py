"""Specs: which fields are valid, and what each role can do."""

from __future__ import annotations

import dataclasses

import pytest

from strokereg.registry.specs import (
    NETWORKS,
    ROLES,
    SPEC_OF_ROLE,
    BundleSpec,
    MixerSpec,
    ReaderSpec,
    Role,
    SpecError,
    TrackerSpec,
    TranslatorSpec,
)

FIELDS = {"name": "net", "factory": "package.module:Class", "summary": ""}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "My_Net"}, "the name 'My_Net' is not lower-case words joined by hyphens"),
        ({"name": "net-"}, "the name 'net-'"),
        ({"factory": "package.module.Class"}, "is not of the form 'package.module:Class'"),
        ({"api": 2}, "written for plugin api 2; this strokereg supports api 1"),
        ({"dims": (2, 4)}, r"dims is \(2, 4\); it must be"),
        ({"dims": ()}, r"dims is \(\)"),
    ],
)
def test_a_wrong_field_is_named(changes, said):
    with pytest.raises(SpecError, match=said):
        TranslatorSpec(**FIELDS | changes)


def test_every_role_has_one_spec():
    assert {spec.role for spec in (*SPEC_OF_ROLE.values(), ReaderSpec, TrackerSpec, BundleSpec)} == set(Role)
    assert set(ROLES) - set(NETWORKS) == {Role.MIXER}
    assert f"{Role.MIXER} {TranslatorSpec(**FIELDS, dims=(2, 3)).offered_dims}" == "mixer 2D and 3D"


def test_specs_are_frozen_and_mixers_are_not_exported():
    spec = MixerSpec(**FIELDS)
    assert (spec.onnx, spec.torchscript, spec.bf16) == (False, False, False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.name = "other"


BUNDLE = {"name": "net", "summary": "", "contrasts": ("dwi",)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "give either file or url"),
        ({"file": "a.onnx", "url": "https://b", "sha256": "0" * 64}, "give either file or url"),
        ({"url": "http://b", "sha256": "0" * 64}, "does not begin with https://"),
        ({"url": "https://b"}, "sha256 is ''; it must be 64"),
        ({"file": "a.onnx", "sha256": "abc"}, "sha256 is 'abc'"),
        ({"file": "a.onnx", "task": "mixer"}, "task is 'mixer'"),
        ({"file": "a.onnx", "contrasts": ()}, "contrasts is empty"),
    ],
)
def test_a_wrong_field_of_a_bundle_is_named(changes, said):
    with pytest.raises(SpecError, match=said):
        BundleSpec(**BUNDLE | changes)
