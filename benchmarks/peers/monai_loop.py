"""A plain MONAI loop, as its tutorials have it: cached volumes, a slice cut out at random, flips, shifts, intensity.

Reads what `convert.py` wrote and writes, for validation, test and external cases, the lesion probability on the same
grid into OUT/predictions/RUN. Nothing here is strokereg's.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import monai
import numpy as np
import torch
from exchange import Exchange
from monai import transforms as mt
from monai.data import CacheDataset, DataLoader
from monai.inferers import SliceInferer
from monai.losses import DiceCELoss
from monai.networks.nets import BasicUNet, UNet
from torch.utils.data import RandomSampler

NETWORKS = {
    # the tutorials' own, which is about as large as strokereg's unet
    "UNet": lambda: UNet(2, 1, 2, (16, 32, 64, 128, 256), (2, 2, 2, 2), num_res_units=2, norm="BATCH"),
    "BasicUNet": lambda: BasicUNet(2, 1, 2),
}


def transforms(size: tuple[int, int]) -> mt.Compose:
    """From a pair of files to one augmented slice [1, X, Y]; half of the slices are cut around a lesion voxel."""
    both, smooth = ("image", "label"), ("bilinear", "nearest")
    return mt.Compose(
        [
            mt.LoadImaged(both, ensure_channel_first=True),
            mt.NormalizeIntensityd("image", nonzero=True),
            mt.SpatialPadd(both, (*size, -1)),
            mt.FgBgToIndicesd("label", image_key="image"),
            # all above is cached
            mt.RandCropByPosNegLabeld(
                both,
                "label",
                (*size, 1),
                fg_indices_key="label_fg_indices",
                bg_indices_key="label_bg_indices",
            ),
            mt.SqueezeDimd(both, dim=-1),
            mt.RandFlipd(both, prob=0.5, spatial_axis=0),
            mt.RandAffined(
                both,
                prob=0.5,
                rotate_range=0.26,
                scale_range=(0.15, 0.15),
                translate_range=(3, 3),
                mode=smooth,
                padding_mode="zeros",
            ),
            mt.RandGaussianNoised("image", prob=0.15, std=0.1),
            mt.RandScaleIntensityd("image", factors=0.1, prob=0.5),
            mt.RandShiftIntensityd("image", offsets=0.1, prob=0.5),
            mt.ToTensord(both, track_meta=False),
            mt.SelectItemsd(both),
        ]
    )  # fmt: skip


def train(data: Exchange, size: tuple[int, int], given: argparse.Namespace) -> torch.nn.Module:
    """The network after `given.steps` steps."""
    pairs = [{"image": data.image(name), "label": data.label(name)} for name in data.split["train"]]
    cached = CacheDataset(pairs, transforms(size), progress=False)
    draws = RandomSampler(cached, replacement=True, num_samples=given.steps * given.batch)
    loader = DataLoader(cached, batch_size=given.batch, sampler=draws, num_workers=0)
    network = NETWORKS[given.network]()
    optimiser = torch.optim.AdamW(network.parameters(), lr=given.lr, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, given.steps)
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True, include_background=False)
    network.train()
    for step, batch in enumerate(loader, 1):
        loss = loss_of(network(batch["image"]), batch["label"])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
    return network.eval()


@torch.inference_mode()
def predict(network: torch.nn.Module, path: Path, size: tuple[int, int]) -> np.ndarray:
    """Lesion probability [X, Y, Z] of an image file, slice by slice in sliding windows of the trained size."""
    read = mt.Compose([mt.LoadImage(ensure_channel_first=True), mt.NormalizeIntensity(nonzero=True)])
    slide = SliceInferer(roi_size=size, spatial_dim=2, sw_batch_size=16, mode="gaussian", overlap=0.5)
    logits = slide(read(path).as_tensor()[None], network)
    return logits.softmax(1)[0, 1].numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder that convert.py wrote")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--network", choices=NETWORKS, default="UNet")
    parser.add_argument("--lr", type=float, default=1e-3)
    given = parser.parse_args()

    torch.set_num_threads(1)
    monai.utils.set_determinism(given.seed)
    data = Exchange(given.out)
    size = (data.facts["slice"][1], data.facts["slice"][0])  # volumes are [X, Y, Z] here, slices [Y, X] there

    begun, begun_cpu = time.perf_counter(), time.process_time()
    network = train(data, size, given)
    trained, trained_cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
    training = {
        "peer": f"MONAI {given.network}",
        "version": monai.__version__,
        "torch": torch.__version__,
        "steps": given.steps,
        "batch_size": given.batch,
        "seed": given.seed,
        "parameters": sum(p.numel() for p in network.parameters()),
        "recipe": {"optimiser": "AdamW", "lr": given.lr, "schedule": "cosine"},
        "training_seconds": round(trained, 1),
        "training_cpu_seconds": round(trained_cpu, 1),
    }
    name = f"monai-{given.network}-lr{given.lr:g}-{given.steps}x{given.batch}-s{given.seed}"
    print(data.write_run(name, lambda path: predict(network, path, size), training))


if __name__ == "__main__":
    main()
