"""A reader as a plugin file: `strokereg --plugin examples/acme_reader.py data import SCANS --out cohort`."""

import strokereg


class Reader:
    """Folders of patients: `p1/acute/b1000.nii.gz` with `infarct.nii.gz` beside it."""

    class Options(strokereg.Options):
        visit: str = "acute"

    def __init__(self, options):
        self.visit = options.visit

    def recognises(self, root):
        return any(root.glob(f"*/{self.visit}/b1000.nii.gz"))

    def read(self, root):
        cases, left_out = [], {}
        for dwi in sorted(root.glob(f"*/{self.visit}/b1000.nii.gz")):
            subject, mask = dwi.parts[-3], dwi.with_name("infarct.nii.gz")
            if mask.exists():
                cases.append(strokereg.CaseFiles(subject, subject, {"dwi": dwi}, mask))
            else:
                left_out[subject] = "has no infarct.nii.gz; draw it"
        return strokereg.Source(cases, left_out=left_out)


@strokereg.hookimpl
def strokereg_readers():
    yield strokereg.ReaderSpec(name="acme-lab", factory="acme_reader:Reader", summary="the folders of our lab")
