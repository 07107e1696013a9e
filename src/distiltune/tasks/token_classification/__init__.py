"""Token classification: mark the words of a text that are names of persons, places or whatever else was marked."""
