"""A tracker as a plugin file: `strokereg --plugin examples/acme_tracker.py train unet --data C --track acme-log`."""

import json

import strokereg


class Tracker:
    """One file of JSON lines for each training."""

    def __init__(self, folder):
        self.folder = folder

    def begin(self, run, facts):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write(run, facts)

    def step(self, run, step, losses):
        self.write(run, {"step": step, **losses})

    def end(self, run, failure):
        self.write(run, {"failure": failure})

    def close(self):
        pass

    def write(self, run, record):
        with (self.folder / f"{run}.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")


@strokereg.hookimpl
def strokereg_trackers():
    yield strokereg.TrackerSpec(name="acme-log", factory="acme_tracker:Tracker", summary="losses as lines of JSON")
