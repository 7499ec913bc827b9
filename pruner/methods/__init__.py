"""One file a method: its score or allocation if it has one of its own, its source, where we differ."""
