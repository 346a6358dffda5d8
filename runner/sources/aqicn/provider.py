"""What AQICN's API offers: the history granted to a key, and the present observation."""

from runner.core.provider import Key, Provider

_KEY = Key("AQICN_API_KEY", "https://aqicn.org/data-platform/token/")
_CREDIT = (
    "Readings: World Air Quality Index project (aqicn.org, waqi.info) and the agencies that "
    "measured them. Not validated. They may not be passed on as cached or archived data."
)

PROVIDERS = (
    Provider(name="aqicn", key=_KEY, credits={"aqicn": _CREDIT}),
    # Its present observations are as much AQICN's data as its history.
    Provider(name="aqicn_live", key=_KEY, credits={"aqicn": _CREDIT}, present_only=True),
)
