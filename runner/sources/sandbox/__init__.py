"""A loopback server that speaks the AQICN API: replayed or synthetic values, faults on demand."""
