"""Registers the plugin. Do not import torch here: every command loads this file."""

from strokereg import ReaderSpec, TranslatorSpec, hookimpl


@hookimpl
def strokereg_translators():
    yield TranslatorSpec(
        name="residual-dense",
        factory="strokereg_acme.residual_dense:ResidualDense",
        summary="residual dense blocks, hinge + L1",
        paper="Zhang, Tian, Kong, Zhong, Fu 2018, arXiv 1802.08797",
        licence="Apache-2.0",
        dims=(2, 3),
    )


@hookimpl
def strokereg_readers():
    yield ReaderSpec(
        name="isles15",
        factory="strokereg_acme.isles15:Isles15",
        summary="public data sets of ISLES 2015: one folder for each patient, VSD.Brain.XX.O.MR_DWI.*",
        paper="Maier, Menze, von der Gablentz et al. 2017, doi:10.1016/j.media.2016.07.009",
        licence="Apache-2.0",
    )
