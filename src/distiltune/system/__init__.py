"""The machine and the disk: device, workers, durable files, locks, the hub."""
