"""What an import was asked to do; kept with the cohort, so that a second call goes on in the same way."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Settings:
    """See `core.cohort.importing.run.import_data`."""

    reader: str
    options: dict[str, str] = field(default_factory=dict)
    link: bool = False
    convert_adc: bool = False
    resample: bool = False
    lesion_label: int | None = None

    def plain(self) -> dict[str, Any]:
        """As the description keeps them: all that decides what is in the cohort, so not how files came there."""
        return {key: value for key, value in asdict(self).items() if key != "link"}
