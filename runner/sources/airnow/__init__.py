"""source=airnow: hourly files of AirNow."""
