"""source=replay: answers that earlier runs kept."""
