"""MongoDB: the connection, the embedded server, and one file for each collection."""
