"""Segment a scan with a network on a Triton server: preparation here, network there.

Usage: python triton_client.py http://localhost:8000/v2/models/unet dwi.nii.gz lesion.nii.gz

It needs strokereg's runtime (no torch) and speaks Triton's HTTP protocol. Only windows of the scan reach the server.
"""

import json
import sys
from urllib.request import Request, urlopen

import numpy as np

from strokereg.export.metadata import parse_bundle
from strokereg.export.runtime.segmenter import Segmenter


class Triton:
    """A model on a server, used in place of a model file."""

    provider = "Triton"

    def __init__(self, address):
        self.address = address

    def metadata(self):
        with urlopen(f"{self.address}/config") as answer:
            return parse_bundle(json.load(answer)["parameters"]["strokereg"]["string_value"], self.address)

    def run(self, feeds):
        arrays = {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in feeds.items()}
        inputs = [
            {"name": name, "shape": array.shape, "datatype": "FP32", "parameters": {"binary_data_size": array.nbytes}}
            for name, array in arrays.items()
        ]
        request = {"inputs": inputs, "outputs": [{"name": "probability", "parameters": {"binary_data": True}}]}
        head = json.dumps(request).encode()
        body = b"".join([head, *(array.tobytes() for array in arrays.values())])
        length = "Inference-Header-Content-Length"
        with urlopen(Request(f"{self.address}/infer", body, {length: str(len(head))})) as answer:
            reply = json.loads(answer.read(int(answer.headers[length])))
            return np.frombuffer(answer.read(), np.float32).reshape(reply["outputs"][0]["shape"])


address, scan, mask = sys.argv[1:]
server = Triton(address)
found = Segmenter(address, server, server.metadata()).segment(scan, out=mask)
print(f"{found.volume_ml:.2f} ml in {found.lesions} lesions")
