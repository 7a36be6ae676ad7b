"""`isles15`: a reader of the public data sets of ISLES 2015, SISS (sub-acute) and SPES (acute), as unpacked.

1/VSD.Brain.XX.O.MR_DWI.70613/VSD.Brain.XX.O.MR_DWI.70613.nii        a folder for each patient, with one for each image
1/VSD.Brain_3more.XX.XX.OT.70616/VSD.Brain_3more.XX.XX.OT.70616.nii  the lesion; the test sets have none

O. Maier, B. Menze, J. von der Gablentz et al. 2017 (Medical Image Analysis, doi:10.1016/j.media.2016.07.009).
Images are skull-stripped and share a grid with the lesion. Neither set has an ADC map.
"""

import strokereg

DWI, LESION = ("*/VSD.Brain*.MR_DWI.*/VSD.Brain*.MR_DWI.*.nii*", "*/VSD.Brain*.OT.*/VSD.Brain*.OT.*.nii*")


class Isles15:
    """One case for each patient with a DWI, named after the folder."""

    class Options(strokereg.Options):
        """Args:
        prefix: put before the number of each patient, to distinguish SISS from SPES.
        """

        prefix: str = ""

    def __init__(self, options):
        self.prefix = options.prefix

    def recognises(self, root):
        return any(root.glob(DWI))

    def read(self, root):
        images, lesions = ({path.parents[1].name: path for path in sorted(root.glob(kind))} for kind in (DWI, LESION))
        cases = []
        for patient in sorted(images, key=lambda patient: (len(patient), patient)):  # 2 before 10
            name = f"{self.prefix}{patient}"
            cases.append(strokereg.CaseFiles(name, name, {"dwi": images[patient]}, lesions.get(patient)))
        left_out = {name: "has a lesion but no DWI; unpack its archive again" for name in lesions if name not in images}
        return strokereg.Source(cases, left_out=left_out)
