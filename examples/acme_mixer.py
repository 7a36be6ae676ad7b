"""A mixer as a plugin file: `strokereg --plugin examples/acme_mixer.py compare --models acme-mixer`."""

import strokereg

spec = strokereg.MixerSpec(name="acme-mixer", factory="acme_mixer:AcmeMixer", summary="copies the donor's lesion")


class AcmeMixer:
    """Copy the lesion of one case to the same place of another."""

    def __init__(self, problem, options):
        self.lesion = problem.lesion

    def mix(self, host, donor, rng):
        if host.image.shape != donor.image.shape:
            return None
        where = donor.labels == self.lesion
        image, labels = host.image.copy(), host.labels.copy()
        image[:, where], labels[where] = donor.image[:, where], self.lesion
        return strokereg.Sample(image, labels, host.parenchyma)
