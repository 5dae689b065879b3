"""The output cache: bounded in bytes, least recently used goes first."""

import numpy as np

from beholder.engine.cache import OVERHEAD_BYTES, OutputCache

ROW = {"embedding": np.arange(4, dtype=np.float32)[None]}
ROW_BYTES = OVERHEAD_BYTES + 16


def test_what_was_put_comes_back_for_the_same_image_and_graph_only() -> None:
    cache = OutputCache(10 * ROW_BYTES)
    cache.put((b"image", "graph"), ROW)
    found = cache.get((b"image", "graph"))
    assert found is not None
    assert found["embedding"].tolist() == ROW["embedding"].tolist()
    assert cache.get((b"other", "graph")) is None
    assert cache.get((b"image", "other")) is None


def test_it_keeps_a_copy_so_a_batch_is_not_held_by_one_of_its_rows() -> None:
    cache = OutputCache(10 * ROW_BYTES)
    batch = np.zeros((64, 4), np.float32)
    cache.put((b"image", "graph"), {"embedding": batch[3:4]})
    found = cache.get((b"image", "graph"))
    assert found is not None
    assert found["embedding"].base is None


def test_the_row_unused_longest_goes_first() -> None:
    cache = OutputCache(2 * ROW_BYTES)
    cache.put((b"1", "graph"), ROW)
    cache.put((b"2", "graph"), ROW)
    cache.get((b"1", "graph"))
    cache.put((b"3", "graph"), ROW)
    assert cache.get((b"2", "graph")) is None
    assert cache.get((b"1", "graph")) is not None
    assert cache.used_bytes == 2 * ROW_BYTES


def test_putting_a_row_again_does_not_count_it_twice() -> None:
    cache = OutputCache(10 * ROW_BYTES)
    cache.put((b"1", "graph"), ROW)
    cache.put((b"1", "graph"), ROW)
    assert cache.used_bytes == ROW_BYTES


def test_a_row_larger_than_the_cache_is_not_kept_and_pushes_nobody_out() -> None:
    cache = OutputCache(ROW_BYTES)
    cache.put((b"1", "graph"), ROW)
    cache.put((b"2", "graph"), {"embedding": np.zeros((1, 1000), np.float32)})
    assert cache.get((b"1", "graph")) is not None
    assert cache.get((b"2", "graph")) is None


def test_a_cache_of_size_0_is_off() -> None:
    cache = OutputCache(0)
    cache.put((b"1", "graph"), ROW)
    assert not cache.is_on
    assert cache.get((b"1", "graph")) is None
