"""The files that freqtrade takes from a user directory, as this package ships them."""

from pathlib import Path

CONFIGURATION = "config-torch.json"
OVERLAYS = ("config-forecast.json",)
DROP_INS = (
    "freqaimodels/PyTorchLSTMRegressor.py",
    "strategies/ExampleLSTMStrategy.py",
)


def shipped_files() -> dict[Path, Path]:
    """Return the shipped files by where each belongs in a user directory.

    A wheel holds them inside the package; in a checkout they lie where freqtrade finds them.
    """
    package = Path(__file__).parents[1]
    in_wheel, checkout = package / "user_data", package.parent
    if in_wheel.is_dir():
        return {Path(name): in_wheel / name for name in (CONFIGURATION, *OVERLAYS, *DROP_INS)}
    files = {Path(name): checkout / "user_data" / name for name in (*OVERLAYS, *DROP_INS)}
    return {Path(CONFIGURATION): checkout / CONFIGURATION, **files}
