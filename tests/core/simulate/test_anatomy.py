import nibabel as nib
import numpy as np
import pytest

from strokereg.core.simulate.anatomy import (
    BACKGROUND,
    CORTEX,
    CSF,
    DEEP,
    MNI_BOX,
    PARENCHYMA,
    VENTRICLE,
    WHITE,
    load_anatomy,
)
from strokereg.core.simulate.anatomy import _template as template
from strokereg.registry.errors import InputError


def shares(anatomy):
    brain = anatomy.labels[anatomy.labels > 0]
    return np.bincount(brain, minlength=7) / brain.size


def test_embedded_head_has_every_tissue_in_plausible_shares():
    share = shares(load_anatomy(None))
    assert 0.4 < share[CORTEX] < 0.65
    assert 0.25 < share[WHITE] < 0.45
    assert 0.01 < share[DEEP] < 0.06
    assert 0.005 < share[VENTRICLE] < 0.05
    assert 0.03 < share[CSF] < 0.25


def test_embedded_head_is_symmetric():
    labels = load_anatomy(None).labels
    assert (labels == labels[::-1]).mean() > 0.97


def test_box_of_the_embedded_head_is_the_mni_box():
    """The constant by which lesions find their place is measured on this very template."""
    anatomy = load_anatomy(None)
    assert np.allclose(anatomy.box[1] - anatomy.box[0], MNI_BOX[1] - MNI_BOX[0], atol=3)
    assert np.allclose(anatomy.to_mni(anatomy.box.T.astype(np.float32)), MNI_BOX.T, atol=1e-3)


@pytest.mark.slow
def test_templates_are_those_of_nilearn():
    from nilearn import datasets

    for kind, load in (("gm", datasets.load_mni152_gm_template), ("t1", datasets.load_mni152_template)):
        ours, theirs = template(kind), load(resolution=1)
        assert np.array_equal(ours.affine, theirs.affine)
        assert np.allclose(np.asarray(ours.dataobj), np.asarray(theirs.dataobj), atol=1e-6)


def test_freesurfer_codes_are_merged_and_the_skull_is_stripped(tmp_path, write_head):
    write_head(tmp_path / "head.nii.gz")
    anatomy = load_anatomy(tmp_path / "head.nii.gz")
    assert set(np.unique(anatomy.labels)) == {BACKGROUND, CSF, VENTRICLE, CORTEX, DEEP, WHITE}
    assert np.allclose(anatomy.spacing, 3.0)
    # The box of the brain, not of the skull around it.
    assert np.all((anatomy.box[1] - anatomy.box[0]) < (125, 161, 125))


def test_axes_of_the_file_do_not_matter(tmp_path, write_head):
    write_head(tmp_path / "head.nii.gz")
    image = nib.load(tmp_path / "head.nii.gz")
    turned = image.as_reoriented(nib.orientations.axcodes2ornt(("I", "L", "A")))
    nib.save(turned, tmp_path / "turned.nii.gz")
    first, second = load_anatomy(tmp_path / "head.nii.gz"), load_anatomy(tmp_path / "turned.nii.gz")
    assert np.array_equal(first.labels, second.labels)
    assert np.allclose(first.box, second.box)


@pytest.mark.parametrize(
    ("values", "fault"),
    [(np.arange(27).reshape(3, 3, 3) / 2, "not a label map"), (np.full((3, 3, 3), 515), "0 ml of brain tissue")],
)
def test_maps_without_a_brain_are_refused(tmp_path, values, fault):
    path = tmp_path / "bad.nii.gz"
    nib.save(nib.Nifti1Image(values.astype(np.float32), np.eye(4)), path)
    with pytest.raises(InputError, match=fault) as error:
        load_anatomy(path)
    assert str(path) in str(error.value)


@pytest.mark.slow
def test_real_label_map_gives_a_brain(real_data):
    anatomy = load_anatomy(sorted((real_data / "synthseg" / "label_maps").glob("*.nii.gz"))[0])
    share = shares(anatomy)
    assert 900 < anatomy.volume_ml < 2000
    assert share[list(PARENCHYMA)].sum() > 0.65
    assert all(share[tissue] > 0.003 for tissue in (CSF, VENTRICLE, DEEP))
