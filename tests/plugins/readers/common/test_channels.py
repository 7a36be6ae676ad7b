"""Contrasts of the channels of a `dataset.json`."""

from __future__ import annotations

from pathlib import Path

import pytest

from strokereg.plugins.readers.common.channels import ChannelOptions, channels_of, read_dataset
from strokereg.registry.errors import FileFault, InputError


@pytest.mark.parametrize(
    ("dataset", "options", "found"),
    [
        ({"channel_names": {"0": "FLAIR", "1": "ADC", "2": "DWI"}}, {}, {"dwi": 2, "FLAIR": 0, "adc": 1}),
        ({"modality": {"0": "b1000"}}, {}, {"dwi": 0}),
        ({"modality": {"0": "MRI"}}, {}, {"dwi": 0}),  # the only one
        ({"modality": {"0": "T1w"}}, {}, {"T1w": 0}),
        ({"channel_names": {"0": "T2 FLAIR", "1": "T2"}}, {}, {"FLAIR": 0, "T2w": 1}),
        ({}, {}, {"dwi": 0}),
        ({"channel_names": {"0": "x", "1": "y"}}, {"dwi": 1}, {"dwi": 1}),
        ({"channel_names": {"0": "DWI", "1": "trace"}}, {"dwi": 1, "adc": 0}, {"dwi": 1, "adc": 0}),
    ],
)
def test_channels_by_option_then_by_name(dataset, options, found):
    assert channels_of(Path(), dataset, ChannelOptions(**options)) == found


def test_several_channels_without_a_dwi_are_an_error():
    with pytest.raises(InputError, match=r"its channels are 0 a, 1 ADC; choose the DWI with --set dwi=NUMBER"):
        channels_of(Path(), {"modality": {"1": "ADC", "0": "a"}}, ChannelOptions())


@pytest.mark.parametrize(("text", "said"), [("{", "not valid JSON"), ("[]", "does not hold a JSON object")])
def test_a_damaged_file_is_an_error(tmp_path, text, said):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(FileFault, match=said):
        read_dataset(tmp_path)
