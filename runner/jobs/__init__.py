"""What each job=NAME does, a file per job. May import everything below cli."""
