"""What strokereg knows of this plugin before anything of it is built. No torch here."""

from strokereg import TranslatorSpec, hookimpl


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
