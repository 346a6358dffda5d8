"""What OpenAQ offers: its API, and the daily files of its archive."""

from runner.core.provider import Key, Provider

PROVIDERS = (
    Provider(
        name="openaq",
        key=Key("OPENAQ_API_KEY", "https://explore.openaq.org/register"),
        credits={
            "openaq": "Readings: computed from hourly concentrations of OpenAQ (openaq.org) and of "
            "those who measured them, each under a licence of its own. As reported, not validated."
        },
        rejects_are_records=False,
    ),
    Provider(
        name="openaq_archive",
        credits={
            "openaq_archive": "Readings: computed from the OpenAQ archive (openaq.org) and those "
            "who measured, each under a licence of its own. As reported, not validated."
        },
        rejects_are_records=False,
    ),
)
