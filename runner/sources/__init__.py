"""Where readings come from: one module per provider, all answering `fetch(station, window)`."""
