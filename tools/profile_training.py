"""Run a `distiltune` command under PyTorch's profiler and print where its time goes, by operation.

Run from the repository: `python -m tools.profile_training train --train starter --model starter --output runs/made`.
All threads are counted, so that times add up to more than the clock's where several work.
"""

from __future__ import annotations

import sys

import torch
from torch.profiler import ProfilerActivity, profile

from distiltune.commands.app import app

N_SHOWN = 15


def run(arguments: list[str], n_shown: int = N_SHOWN) -> str:
    """Run the command; returns the table of `n_shown` operations (-1: all of them), the costliest first."""
    config = torch._C._profiler._ExperimentalConfig(profile_all_threads=True)
    with profile(activities=[ProfilerActivity.CPU], experimental_config=config) as profiler:
        app(arguments, standalone_mode=False)
    table: str = profiler.key_averages().table(
        sort_by="self_cpu_time_total", row_limit=n_shown, max_name_column_width=40
    )
    return table


if __name__ == "__main__":
    print(run(sys.argv[1:]))
