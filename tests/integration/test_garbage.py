"""What a request brought is let go with its answer: nothing waits for the garbage collector."""

import gc
from collections import Counter

from beholder.config import Config
from beholder.embedded import Embedded
from server_process import REPO

ASSETS = REPO / "tests" / "assets"


def test_an_answered_request_leaves_no_cycle_that_holds_its_images() -> None:
    """Images are counted in megabytes and the collector counts objects: what it has to find, piles up."""
    with Embedded(Config(scorers=("psnr", "ssim"))) as beholder:
        beholder.score([ASSETS / "landscape-q30.jpg"], scorers=["psnr"], references=ASSETS / "landscape.png")
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for _ in range(5):
                beholder.score([ASSETS / "landscape-q30.jpg"], scorers=["psnr"], references=ASSETS / "landscape.png")
            gc.collect()
            kinds = Counter(type(thing).__name__ for thing in gc.garbage)
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert not kinds.keys() & {"EncodedImage", "RawImage", "Sample", "Row", "Picture"}, kinds
