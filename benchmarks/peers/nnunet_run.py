"""nnU-Net at a given number of steps: its own planning, augmentation, loss, learning rate and mirrored prediction.

Runs in an environment of its own that has nnunetv2 (`pip install nnunetv2`) and not strokereg. Reads what `convert.py`
wrote and writes, for validation, test and external cases, the lesion probability on the same grid into
OUT/predictions/RUN. Changed are only: the batch size, the number of iterations in an epoch, and how many validation
batches are looked at after each, which steers nothing.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

from exchange import Exchange

SHIPPED = "nnUNetTrainer_50epochs"


def plan(preprocessed: Path, batch: int) -> dict[str, Any]:
    """Let nnU-Net look at the data and plan; set the batch size; preprocess. Found done, it is not done again."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprints,
        plan_experiments,
        preprocess,
    )

    file = preprocessed / "nnUNetPlans.json"
    if not file.is_file():
        extract_fingerprints([1], num_processes=1, check_dataset_integrity=True)
        plan_experiments([1])
    done = preprocessed / "preprocessed"
    if not done.is_file():
        shutil.rmtree(preprocessed / "nnUNetPlans_2d", ignore_errors=True)  # half of it, where it was interrupted
        preprocess([1], configurations=("2d",), num_processes=(1,))
        done.touch()
    plans = json.loads(file.read_text(encoding="utf-8"))
    plans["configurations"]["2d"]["batch_size"] = batch
    return plans


def train(plans: dict[str, Any], description: dict[str, Any], given: argparse.Namespace) -> Any:
    """A trainer of nnU-Net after `given.steps` steps."""
    import nnunetv2
    import torch
    from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

    folder = os.path.join(nnunetv2.__path__[0], "training", "nnUNetTrainer")
    kind = recursive_find_python_class(folder, given.trainer, "nnunetv2.training.nnUNetTrainer")
    if kind is None:
        raise SystemExit(f"--trainer {given.trainer}: nnunetv2 has no such class")
    trainer = kind({**plans, "continue_training": False}, "2d", 0, description, torch.device("cpu"))
    trainer.num_epochs = given.epochs
    trainer.num_iterations_per_epoch = given.steps // given.epochs
    trainer.num_val_iterations_per_epoch = 1
    trainer.disable_checkpointing = True  # the last weights count, and they are at hand
    trainer.initialize()
    trainer.run_training()
    return trainer


def predictor_of(trainer: Any, description: dict[str, Any]) -> Any:
    """As `nnUNetv2_predict` sets it up, with the last weights."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(device=torch.device("cpu"), perform_everything_on_device=False, allow_tqdm=False)
    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        None,
        description,
        type(trainer).__name__,
        trainer.inference_allowed_mirroring_axes,
    )
    # Prediction loads weights anew for each fold of an ensemble; here there is one.
    predictor.list_of_parameters = [trainer.network.state_dict()]
    return predictor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder that convert.py wrote")
    parser.add_argument("--steps", type=int, required=True, help="a multiple of --epochs")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trainer", default=SHIPPED, help="a class of nnunetv2")
    parser.add_argument("--epochs", type=int, default=50, help="the learning rate falls after each")
    given = parser.parse_args()
    if given.steps % given.epochs:
        parser.error(f"--steps {given.steps}: is not a multiple of {given.epochs} epochs")

    data = Exchange(given.out)
    name = f"nnunet-{given.trainer}-{given.epochs}ep-{given.steps}x{given.batch}-s{given.seed}"
    # nnU-Net reads these when it is imported.
    for variable in ("nnUNet_raw", "nnUNet_preprocessed"):
        os.environ[variable] = str(data.out / variable)
    here = {"nnUNet_results": str(data.out / "nnUNet_results" / name), "nnUNet_compile": "f"}
    os.environ |= here | {"nnUNet_n_proc_DA": "1"}

    import numpy as np
    import torch
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    torch.set_num_threads(1)
    random.seed(given.seed)
    np.random.seed(given.seed)
    torch.manual_seed(given.seed)
    description = json.loads((data.raw / "dataset.json").read_text(encoding="utf-8"))
    plans = plan(data.preprocessed, given.batch)

    os.environ |= {"nnUNet_n_proc_DA": "0"}  # augments in this process; planning cannot do with 0
    begun, begun_cpu = time.perf_counter(), time.process_time()
    trainer = train(plans, description, given)
    trained, trained_cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
    predictor, files = predictor_of(trainer, description), SimpleITKIO()

    def predict(path: Path) -> np.ndarray:
        image, about = files.read_images([str(path)])
        return predictor.predict_single_npy_array(image, about, None, None, True)[1][1].transpose(2, 1, 0)

    settings = plans["configurations"]["2d"]
    training = {
        "peer": "nnU-Net 2d",
        "version": importlib.metadata.version("nnunetv2"),
        "torch": torch.__version__,
        "steps": given.steps,
        "batch_size": given.batch,
        "seed": given.seed,
        "parameters": sum(p.numel() for p in trainer.network.parameters()),
        "recipe": {"trainer": given.trainer, "lr": trainer.initial_lr, "epochs": given.epochs},
        "patch": settings["patch_size"],
        "features": settings["architecture"]["arch_kwargs"]["features_per_stage"],
        "mirrored": list(trainer.inference_allowed_mirroring_axes or ()),
        "training_seconds": round(trained, 1),
        "training_cpu_seconds": round(trained_cpu, 1),
    }
    print(data.write_run(name, predict, training))


if __name__ == "__main__":
    main()
