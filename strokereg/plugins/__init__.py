"""The built-in plugins, registered through the same hooks as external ones. No torch at import."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from strokereg.registry.hooks import hookimpl
from strokereg.registry.specs import (
    BundleSpec,
    GeneratorSpec,
    MixerSpec,
    ReaderSpec,
    SegmenterSpec,
    TrackerSpec,
    TranslatorSpec,
)

_BOTH_DIMS: dict[str, Any] = {"licence": "Apache-2.0", "dims": (2, 3)}
_BUNDLES = Path(__file__).with_name("bundles")
_STUDY = "Platscher, Zopes, Federau 2020, arXiv 2010.02745"


@hookimpl
def strokereg_generators() -> Iterator[GeneratorSpec]:
    """Generators of lesion masks."""
    yield GeneratorSpec(
        name="mask-gan",
        factory="strokereg.plugins.generators.mask_gan:MaskGan",
        summary="GAN of lesion masks, upsampling and convolution",
        paper=_STUDY,
        **_BOTH_DIMS,
    )
    yield GeneratorSpec(
        name="mask-warp",
        factory="strokereg.plugins.generators.mask_warp:MaskWarp",
        summary="training masks, flipped, moved and elastically warped; untrained",
        paper="warp after Simard, Steinkraus, Platt 2003, doi:10.1109/ICDAR.2003.1227801",
        **_BOTH_DIMS,
    )
    yield GeneratorSpec(
        name="mask-library",
        factory="strokereg.plugins.generators.mask_library:MaskLibrary",
        summary="warped masks from a folder in MNI space (--set folder=DIR); untrained",
        paper="masks mapped by the brain's extent; warp after Simard, Steinkraus, Platt 2003",
        **_BOTH_DIMS,
    )


@hookimpl
def strokereg_translators() -> Iterator[TranslatorSpec]:
    """Translators from label map to MR image."""
    yield TranslatorSpec(
        name="pix2pix",
        factory="strokereg.plugins.translators.pix2pix:Pix2Pix",
        summary="conditional GAN: U-Net or ResNet, patch discriminator, LSGAN + L1",
        paper=f"Isola, Zhu, Zhou, Efros 2017, arXiv 1611.07004; recipe of {_STUDY}",
        **_BOTH_DIMS,
    )
    yield TranslatorSpec(
        name="spade",
        factory="strokereg.plugins.translators.spade:Spade",
        summary="GAN with label-modulated residual blocks, LSGAN + L1",
        paper=f"Park, Liu, Wang, Zhu 2019, arXiv 1903.07291; recipe of {_STUDY}",
        **_BOTH_DIMS,
        stochastic=True,
    )
    yield TranslatorSpec(
        name="spade-hinge",
        factory="strokereg.plugins.translators.spade_hinge:SpadeHinge",
        summary="SPADE with its authors' losses: hinge, two scales, feature matching, optional style encoder",
        paper="Park, Liu, Wang, Zhu 2019, arXiv 1903.07291; Wang et al. 2018, arXiv 1711.11585",
        **_BOTH_DIMS,
        stochastic=True,
    )
    yield TranslatorSpec(
        name="cyclegan",
        factory="strokereg.plugins.translators.cyclegan:CycleGan",
        summary="GAN with cycle losses, trained on label maps and images of different cases",
        paper="Zhu, Park, Isola, Efros 2017, arXiv 1703.10593",
        **_BOTH_DIMS,
        paired=False,
    )
    yield TranslatorSpec(
        name="flow",
        factory="strokereg.plugins.translators.flow:Flow",
        summary="rectified flow from noise to image, in a few Euler steps",
        paper="Lipman et al. 2023, arXiv 2210.02747; Liu, Gong, Liu 2023, arXiv 2209.03003",
        **_BOTH_DIMS,
        stochastic=True,
    )
    yield TranslatorSpec(
        name="random-contrast",
        factory="strokereg.plugins.translators.random_contrast:RandomContrast",
        summary="a random intensity for each label, with blur, shading and noise; untrained",
        paper="Billot, Greve, Puonti et al. 2023, arXiv 2107.09559; with lesions: Chalcroft et al., arXiv 2404.01946",
        **_BOTH_DIMS,
        stochastic=True,
    )


@hookimpl
def strokereg_segmenters() -> Iterator[SegmenterSpec]:
    """Segmenters of the lesion."""
    yield SegmenterSpec(
        name="unet",
        factory="strokereg.plugins.segmenters.unet:UNet",
        summary="plain U-Net, Dice + cross-entropy",
        paper="Ronneberger, Fischer, Brox 2015, arXiv 1505.04597",
        **_BOTH_DIMS,
    )
    yield SegmenterSpec(
        name="dynunet",
        factory="strokereg.plugins.segmenters.dynunet:DynUNet",
        summary="nnU-Net's plan with MONAI's blocks: deep supervision, optional residual blocks",
        paper="Isensee, Jaeger, Kohl, Petersen, Maier-Hein 2021, arXiv 1809.10486",
        **_BOTH_DIMS,
    )
    yield SegmenterSpec(
        name="timm-unet",
        factory="strokereg.plugins.segmenters.timm_unet:TimmUNet",
        summary="U-Net decoder on any timm encoder, optionally pretrained",
        paper="Iglovikov, Shvets 2018, arXiv 1801.05746; Wightman, timm",
        licence="Apache-2.0",
    )


@hookimpl
def strokereg_mixers() -> Iterator[MixerSpec]:
    """Mixers of two real cases."""
    yield MixerSpec(
        name="carvemix",
        factory="strokereg.plugins.mixers.carvemix:CarveMix",
        summary="a lesion with a random margin, carved out of one case and put into another; untrained",
        paper="Zhang, Liu, Ou et al. 2021, arXiv 2108.06883",
        licence="Apache-2.0",
    )
    yield MixerSpec(
        name="lesion-paste",
        factory="strokereg.plugins.mixers.lesion_paste:LesionPaste",
        summary="the relative signal of a real lesion, warped into another real brain; untrained",
        paper="Federau, Christensen, Scherrer et al. 2020, arXiv 2012.14771",
        licence="Apache-2.0",
        tissues=True,
    )


@hookimpl
def strokereg_readers() -> Iterator[ReaderSpec]:
    """Readers of folder layouts."""
    readers = "strokereg.plugins.readers"
    yield ReaderSpec(
        name="strokereg",
        factory=f"{readers}.strokereg_cohort:OwnReader",
        summary="a cohort that strokereg simulated or imported",
    )
    yield ReaderSpec(
        name="isles22",
        factory=f"{readers}.isles22:Isles22Reader",
        summary="public data set of ISLES'22: rawdata and derivatives, or sub-*/ses-*/dwi and derivatives",
        paper="Hernandez Petzsche et al. 2022, doi:10.1038/s41597-022-01875-5",
    )
    yield ReaderSpec(
        name="isles24",
        factory=f"{readers}.isles24:Isles24Reader",
        summary="public data set of ISLES'24: follow-up DWI and ADC with the final infarct",
        paper="Riedel et al. 2024, arXiv 2408.11142",
    )
    yield ReaderSpec(
        name="soop",
        factory=f"{readers}.soop:SoopReader",
        summary="SOOP, OpenNeuro ds004889: TRACE, ADC and FLAIR with the mask of the acute lesion",
        paper="Absher et al. 2024, doi:10.1038/s41597-024-03667-5",
    )
    yield ReaderSpec(
        name="atlas",
        factory=f"{readers}.atlas:AtlasReader",
        summary="ATLAS v2.0: T1w in MNI space with lesion masks",
        paper="Liew et al. 2022, doi:10.1038/s41597-022-01401-7",
    )
    yield ReaderSpec(
        name="nnunet",
        factory=f"{readers}.nnunet:NnunetReader",
        summary="nnU-Net raw data set: dataset.json, imagesTr/*_0000.nii.gz, labelsTr",
        paper="Isensee et al. 2021, doi:10.1038/s41592-020-01008-z",
    )
    yield ReaderSpec(
        name="medical-decathlon",
        factory=f"{readers}.decathlon:DecathlonReader",
        summary="Medical Segmentation Decathlon task: dataset.json with training pairs",
        paper="Antonelli et al. 2022, doi:10.1038/s41467-022-30695-9",
    )
    yield ReaderSpec(
        name="bids",
        factory=f"{readers}.bids:BidsReader",
        summary="BIDS raw data with lesion masks and label maps under derivatives",
        paper="Gorgolewski et al. 2016, doi:10.1038/sdata.2016.44",
        general=True,
    )
    yield ReaderSpec(
        name="dicom",
        factory=f"{readers}.dicom:DicomReader",
        summary="DICOM series in one folder for each patient, converted with dcm2niix",
        paper="Li et al. 2016, doi:10.1016/j.jneumeth.2016.03.001",
        general=True,
    )
    yield ReaderSpec(
        name="folder",
        factory=f"{readers}.folder:FolderReader",
        summary="image and mask files paired by patterns: --images '*_dwi.nii.gz' --masks '*_lesion.nii.gz'",
        general=True,
    )


@hookimpl
def strokereg_trackers() -> Iterator[TrackerSpec]:
    """Experiment trackers."""
    yield TrackerSpec(
        name="tensorboard",
        factory="strokereg.plugins.trackers.tensorboard:TensorBoardTracker",
        summary="event files for TensorBoard; needs strokereg[tensorboard]",
        paper="https://www.tensorflow.org/tensorboard",
    )
    yield TrackerSpec(
        name="mlflow",
        factory="strokereg.plugins.trackers.mlflow:MlflowTracker",
        summary="an MLflow server or a local folder; needs strokereg[mlflow]",
        paper="https://mlflow.org",
    )


@hookimpl
def strokereg_bundles() -> Iterator[BundleSpec]:
    """Segmenters with their weights, trained on simulated scans only."""
    for name, contrasts in (("sim-dwi-adc", ("dwi", "adc")),):
        yield BundleSpec(
            name=name,
            file=str(_BUNDLES / f"{name}.onnx"),
            contrasts=contrasts,
            summary="2D U-Net that never saw a patient; see its card",
            card=str(_BUNDLES / "README.md"),
            licence="Apache-2.0",
        )
