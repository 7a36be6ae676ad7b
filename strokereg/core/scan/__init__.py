"""One image: its file, grid, intensities, sliding windows, postprocessing and pictures."""

#: Voxel size of the network grid in mm along R, A, S, unless a setting says otherwise.
DEFAULT_SPACING = (3.0, 3.0, 3.0)
