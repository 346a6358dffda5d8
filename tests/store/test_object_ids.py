from datetime import UTC, datetime, timedelta

from bson import ObjectId

from runner.store import reading_document as object_ids
from runner.store.reading_document import ObjectIds


def test_ids_are_new_also_over_several_takes() -> None:
    ids = ObjectIds()
    taken = [*ids.take(168), *ids.take(0), *ids.take(3)]

    assert len(set(taken)) == 171


def test_an_id_says_when_it_was_made_as_any_object_id_does() -> None:
    (made,) = ObjectIds().take(1)

    assert abs(made.generation_time - datetime.now(UTC)) < timedelta(minutes=5)


def test_two_makers_and_pymongos_own_never_meet() -> None:
    first, second = ObjectIds().take(1000), ObjectIds().take(1000)
    own = [ObjectId() for _ in range(1000)]

    assert len({item.binary[4:9] for item in (first[0], second[0], own[0])}) == 3
    assert len({*first, *second, *own}) == 3000


def test_the_counter_goes_round_without_a_double() -> None:
    ids = ObjectIds()
    ids._next = object_ids._COUNTERS - 2
    taken = ids.take(4)

    assert len(set(taken)) == 4
    assert [int.from_bytes(item.binary[9:]) for item in taken] == [2**24 - 2, 2**24 - 1, 0, 1]
