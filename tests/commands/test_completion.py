"""What shells complete: by typer's mechanism, as bash, zsh and fish ask it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from distiltune.commands.completion import SHELLS, VARIABLE


def ours(*arguments: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "distiltune", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, **variables},
    )
    return done.stdout


def asked_by_bash(line: str) -> list[str]:
    words = line.split(" ")
    return ours(**{VARIABLE: "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}).split()


def test_bash_completes_commands_flags_and_values() -> None:
    assert asked_by_bash("distiltune tr") == ["train"]
    assert asked_by_bash("distiltune train --learn") == ["--learning-rate"]
    assert "--no-answer" in asked_by_bash("distiltune train --no-"), "a task's own too"
    assert asked_by_bash("distiltune train --task text-") == ["text-classification"]
    assert asked_by_bash("distiltune check --quoting ") == ["auto", "csv", "none"]
    assert asked_by_bash("distiltune completion f") == ["fish"]
    assert asked_by_bash("distiltune ask starter-qa --document doc") == [], "the shell's own: files"


def test_zsh_and_fish_are_answered_in_their_forms() -> None:
    zsh = ours(**{VARIABLE: "complete_zsh", "_TYPER_COMPLETE_ARGS": "distiltune train --learn"})
    assert '"--learning-rate":' in zsh
    fish = {"_TYPER_COMPLETE_FISH_ACTION": "get-args", "_TYPER_COMPLETE_ARGS": "distiltune train --precision b"}
    assert ours(**{VARIABLE: "complete_fish", **fish}).split() == ["bfloat16"]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_lines_for_a_shell_are_read_by_it(shell: str, tmp_path: Path) -> None:
    lines = ours("completion", shell)
    assert VARIABLE in lines
    assert f"complete_{shell}" in lines
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here to read them")
    (tmp_path / "lines").write_text(lines)
    subprocess.run([shell, "-n", str(tmp_path / "lines")], check=True, timeout=60)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_itself_completes(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text(ours("completion", "bash"))
    program = tmp_path / "distiltune"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m distiltune "$@"\n')
    program.chmod(0o755)
    script = (
        f'source "{tmp_path}/lines"; COMP_WORDS=(distiltune train --accum); COMP_CWORD=2; '
        '_distiltune_completion distiltune; echo "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, check=True, env=environment
    )
    assert done.stdout.strip() == "--accumulation-steps"
