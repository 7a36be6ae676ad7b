"""A MONAI bundle: a folder that MONAI's own tools open and run, without strokereg.

Its scripts must give the runtime's mask to the voxel, so they are copies of the runtime's own functions.
"""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from types import CodeType, FunctionType

from strokereg.core.scan import grid, nifti, postprocess, window
from strokereg.core.scan.postprocess import Postprocessing
from strokereg.export.metadata import Bundle
from strokereg.export.write.monai_metadata import monai_json

_TRANSFORMS = Path(__file__).with_name("bundle_transforms.py")
_ROOTS = (nifti.Volume, grid.frame_of, grid.brain_median, postprocess.postprocess)
_HEAD = '''"""From a scan to the network grid and back, from probability to mask: functions of strokereg {version}."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)


class InputError(ValueError):
    """A scan that cannot be used."""


'''
_README = """# {name}: stroke lesions in {channels}

{intended_use}

From this folder, with MONAI, nibabel and scipy installed:

```
python -m monai.bundle run --config_file configs/inference.json --dataset_dir SCANS --output_dir MASKS
```

(the command also needs the package `fire`). It takes every `*_{first}.nii.gz` of SCANS{others}, raw intensities on any
grid, and writes a mask on the scan's own grid. In Python:

```python
import monai

monai.bundle.run(config_file="configs/inference.json", dataset_dir="SCANS", output_dir="MASKS")
network, metadata, extra = monai.bundle.load("{folder}", bundle_dir="..", load_ts_module=True)
```

The network alone takes raw intensities on its grid and the median brain intensity of each volume; `scripts` prepares
scans and makes masks. `strokereg.json` in `models/model.ts` holds the complete metadata. Licence: {licence}.
"""


def write(model: Path, bundle: Bundle, folder: Path) -> None:
    """Fill a folder: `configs`, `models/model.ts`, `scripts`, `docs`."""
    for name in ("configs", "models", "scripts", "docs"):
        (folder / name).mkdir()
    shutil.copyfile(model, folder / "models" / "model.ts")
    _write_json(folder / "configs" / "inference.json", _inference(bundle))
    _write_json(folder / "configs" / "metadata.json", _metadata(bundle))
    scripts = folder / "scripts"
    (scripts / "__init__.py").write_text("", encoding="utf-8")
    shutil.copyfile(_TRANSFORMS, scripts / "lesions.py")
    shutil.copyfile(str(window.__file__), scripts / "window.py")
    text = "\n\n".join(inspect.getsource(part) for part in _with_what_they_call(_ROOTS))
    (scripts / "scan.py").write_text(_HEAD.format(version=version("strokereg")) + text, encoding="utf-8")
    first, *others = bundle.channels
    readme = _README.format(
        name=bundle.architecture,
        channels=", ".join(bundle.channels),
        intended_use=bundle.intended_use,
        first=first,
        others=f" with the files named {' and '.join(f'_{name}' for name in others)} beside it" if others else "",
        folder=folder.name,
        licence=bundle.licence,
    )
    (folder / "docs" / "README.md").write_text(readme, encoding="utf-8")


def _with_what_they_call(roots: Iterable[type | FunctionType]) -> list[type | FunctionType]:
    """Functions and classes, with the functions of `core` that they call, and so on."""
    found: list[type | FunctionType] = []
    waiting = list(roots)
    while waiting:
        part = waiting.pop(0)
        if part in found:
            continue
        found.append(part)
        inside = vars(part).values() if isinstance(part, type) else [part]
        for function in (one for one in inside if isinstance(one, FunctionType)):
            called = [function.__globals__.get(name) for name in _names(function.__code__)]
            waiting += [one for one in called if isinstance(one, (type, FunctionType)) and _is_ours(one)]
    return found


def _names(code: CodeType) -> list[str]:
    """Names that a piece of code uses, also in its comprehensions."""
    return [*code.co_names, *(name for part in code.co_consts if isinstance(part, CodeType) for name in _names(part))]


def _is_ours(part: type | FunctionType) -> bool:
    return part.__module__ in {module.__name__ for module in (postprocess, grid, nifti)}


def _inference(bundle: Bundle) -> dict:
    """MONAI's configuration: `@x` is another entry, `$` an expression."""
    preparation, postprocessing = bundle.preparation, bundle.postprocessing or Postprocessing()
    first = bundle.channels[0]
    return {
        "imports": ["$import glob", "$import numpy", "$import torch"],
        "bundle_root": ".",
        "dataset_dir": ".",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "channels": list(bundle.channels),
        "images": f"$sorted(glob.glob(@dataset_dir + '/*_{first}.nii.gz'))",
        "datalist": f"$[{{'image': [path.removesuffix('{first}.nii.gz') + name + '.nii.gz' for name in @channels]}} "
        "for path in @images]",
        "network_def": {
            "_target_": "torch.jit.load",
            "f": "$@bundle_root + '/models/model.ts'",
            "map_location": "@device",
        },
        "network": "$@network_def.eval()",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [{"_target_": "LoadImaged", "keys": "image", "ensure_channel_first": True}],
        },
        "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "inferer": {
            "_target_": "scripts.lesions.ScanInferer",
            "spacing": list(preparation.spacing),
            "size": list(preparation.size),
            "multiple": list(preparation.multiple),
            "patch": list(bundle.size),
            "flips": postprocessing.flips,
            "overlap": bundle.overlap,
            "sigma": bundle.sigma,
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {
                    "_target_": "scripts.lesions.Threshold",
                    "keys": "pred",
                    "threshold": postprocessing.threshold,
                    "smallest_ml": postprocessing.smallest_ml,
                },
                {
                    "_target_": "SaveImaged",
                    "keys": "pred",
                    "output_dir": "@output_dir",
                    "output_postfix": "desc-lesion_mask",
                    "output_dtype": "$numpy.uint8",
                    "separate_folder": False,
                    "resample": False,
                },
            ],
        },
        "predictions": "$(found for batch in @dataloader for found in @inferer(batch['image'], @network))",
        "run": ["$[@postprocessing({'pred': found}) for found in @predictions]"],
    }


def _metadata(bundle: Bundle) -> dict:
    packages = {name: version(name) for name in ("nibabel", "scipy")}
    return {
        **json.loads(monai_json(bundle)),
        "monai_version": version("monai"),
        "numpy_version": version("numpy"),
        "required_packages_version": packages,
        "changelog": {bundle.version: f"exported by strokereg {version('strokereg')}"},
        "authors": bundle.distribution,
        "data_type": "nibabel",
        "channels": list(bundle.channels),
        "simulated_training_images": bundle.training.simulated,
    }


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
