"""Side-by-side timings. See README.md here."""
