"""Learned tastes in memory: the ones asked last, never one from before it changed."""

from taste_making import background, told

from beholder.scoring.asked import Graph
from beholder.taste.eye import Eye
from beholder.taste.memory import Memory
from beholder.taste.scorer import TasteReader, TasteScorer

NO_GRAPH: Graph = None  # type: ignore[assignment] # nothing is run here
SCORER = TasteReader(Eye(NO_GRAPH, "0" * 64, background(), None)).scorer(told([]))
ROOM_FOR_TWO = 2 * SCORER.size_bytes


def keep(memory: Memory, name: str, scorer: TasteScorer = SCORER) -> None:
    with memory.reading(name):
        memory.put(name, f"id of {name}", scorer)


def test_those_asked_last_are_kept_and_no_more_than_fit() -> None:
    memory = Memory(ROOM_FOR_TWO)
    keep(memory, "ann")
    keep(memory, "bob")
    assert memory.get("ann") is SCORER
    keep(memory, "cyd")
    assert [memory.get(name) for name in ("ann", "bob", "cyd")] == [SCORER, None, SCORER]
    assert (len(memory), memory.used_bytes) == (2, ROOM_FOR_TWO)


def test_what_does_not_fit_alone_is_not_kept() -> None:
    memory = Memory(SCORER.size_bytes - 1)
    keep(memory, "ann")
    assert (len(memory), memory.used_bytes) == (0, 0)


def test_a_taste_that_changes_while_it_is_read_is_not_kept() -> None:
    for method, *args in (("forget", "ann"), ("forget_ids", {"an id"}), ("clear",)):
        memory = Memory(ROOM_FOR_TWO)
        with memory.reading("ann"):
            getattr(memory, method)(*args)
            memory.put("ann", "id of ann", SCORER)
        assert memory.get("ann") is None
        keep(memory, "ann")
        assert memory.get("ann") is SCORER, "the next reader may keep it"


def test_a_taste_is_kept_though_others_change_while_it_is_read() -> None:
    memory = Memory(ROOM_FOR_TWO)
    with memory.reading("ann"):
        memory.forget("bob")
        memory.put("ann", "id of ann", SCORER)
    assert memory.get("ann") is SCORER


def test_tastes_are_let_go_of_by_name_by_id_or_all() -> None:
    memory = Memory(3 * SCORER.size_bytes)
    for name in ("ann", "bob", "cyd"):
        keep(memory, name)
    memory.forget("ann")
    memory.forget_ids({"id of bob", "id of nobody"})
    assert [memory.get(name) for name in ("ann", "bob", "cyd")] == [None, None, SCORER]
    assert memory.used_bytes == SCORER.size_bytes
    memory.clear()
    assert (len(memory), memory.used_bytes) == (0, 0)
