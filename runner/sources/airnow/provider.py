"""What the files of AirNow offer."""

from runner.core.provider import Provider

PROVIDERS = (
    Provider(
        name="airnow",
        credits={
            "airnow": "Readings: U.S. Department of State and U.S. EPA AirNow (airnow.gov). Not "
            "fully verified or validated."
        },
        rejects_are_records=False,
    ),
)
