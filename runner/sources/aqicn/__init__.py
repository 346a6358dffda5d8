"""source=aqicn and source=aqicn_live: the API of AQICN."""
