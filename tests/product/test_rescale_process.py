"""Indices computed again on another scale, from the concentrations that a load kept."""

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo.database import Database

from tests.product.openaq_api import invented_api
from tests.product.product import FAST, Runner, readings_of

pytestmark = pytest.mark.slow
Mongo = Database[dict[str, Any]]

WEEKS = (
    "source=openaq",
    "stations.ids=[8641]",
    "backfill.start_date=2016-11-01",  # over the day on which one location follows the other
    "backfill.end_date=2016-11-20",
)
A, B = "source.openaq.scale=aqicn", "source.openaq.scale=epa_2024"


@pytest.fixture
def fresh(database: Mongo) -> Iterator[Mongo]:
    """A second database, for what is loaded on the other scale at once."""
    other = database.client[f"{database.name}_fresh"]
    yield other
    other.client.drop_database(other.name)


def kept(database: Mongo) -> list[dict[str, Any]]:
    """Return all concentrations without what names the load."""
    told = database["ingest_concentrations"].find({}, {"_id": 0, "run_id": 0, "stored_at": 0})
    return sorted(told, key=lambda item: item["ts"])


def test_readings_rescaled_are_those_of_a_load_on_that_scale_there_and_back(
    runner: Runner, database: Mongo, fresh: Mongo
) -> None:
    with invented_api() as api:
        load = (*WEEKS, *FAST, f"source.base_url={api.url}")
        runner(*load, A, "backfill.batch_size=150", OPENAQ_API_KEY="any")
        runner(*load, B, f"mongo.database={fresh.name}", OPENAQ_API_KEY="any")
    first, first_kept = readings_of(database), kept(database)
    gone = len(first) - len(readings_of(fresh))
    assert gone > 0  # after a gap NowCast has no mean yet

    told = runner("job=rescale", *WEEKS, B, "confirm=true").stdout
    assert f"0 inserted, {gone:,} removed (no index on this scale)" in told
    assert readings_of(database) == readings_of(fresh)
    assert kept(database) == kept(fresh)

    told = runner("job=rescale", *WEEKS, A, "confirm=true").stdout
    assert f"{gone:,} inserted, 0 removed" in told
    assert readings_of(database) == first
    assert kept(database) == first_kept
