"""What strokereg knows of this plugin before anything of it is built. No torch here."""

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
        summary="public sets of ISLES 2015: one folder a patient, VSD.Brain.XX.O.MR_DWI.*",
        paper="Maier, Menze, von der Gablentz et al. 2017, doi:10.1016/j.media.2016.07.009",
        licence="Apache-2.0",
    )
