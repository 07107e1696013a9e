"""The same three jobs in distiltune and in what users would pick instead: lines, time, score; see `run`."""
