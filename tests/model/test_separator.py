import pytest

from unetsep.audio.files import InputError
from unetsep.model import Separator


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"sample_rate": 384_001}, r"sample_rate is 384001: use 1 to 384000 samples a second"),
        ({"n_fft": 2**20 + 2}, r"n_fft is 1048578: use at most 1048576"),
        ({"n_fft": 2**40}, r"n_fft is 1099511627776: use at most 1048576"),
    ],
)
def test_settings_that_no_memory_holds_are_refused_in_one_line(settings, complaint):
    with pytest.raises(InputError, match=f"^{complaint}$"):
        Separator(**settings)
