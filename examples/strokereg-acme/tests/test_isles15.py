"""`isles15` recognises its layout and lists the cases."""

from strokereg_acme.isles15 import Isles15


def unpack(root, *images):
    for number, (patient, kind) in enumerate(images):
        name = f"VSD.Brain.XX.O.{kind}.{70613 + number}"
        (root / patient / name).mkdir(parents=True)
        (root / patient / name / f"{name}.nii").touch()


def build(**options):
    return Isles15(Isles15.Options(**options))


def test_patients_are_listed_with_their_lesions(tmp_path):
    unpack(tmp_path, ("10", "MR_DWI"), ("2", "MR_DWI"), ("2", "MR_Flair"), ("2", "OT"), ("3", "OT"))
    assert build().recognises(tmp_path)
    source = build(prefix="siss").read(tmp_path)
    assert [(case.name, case.mask is not None) for case in source.cases] == [("siss2", True), ("siss10", False)]
    assert source.cases[0].images["dwi"].name == "VSD.Brain.XX.O.MR_DWI.70614.nii"
    assert source.left_out == {"3": "has a lesion but no DWI; unpack its archive again"}


def test_another_layout_is_not_its_own(tmp_path):
    (tmp_path / "sub-01" / "dwi").mkdir(parents=True)
    (tmp_path / "sub-01" / "dwi" / "sub-01_dwi.nii.gz").touch()
    assert not build().recognises(tmp_path)
