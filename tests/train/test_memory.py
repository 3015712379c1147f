"""Freed memory that stays with the process, counted in a process of its own by the pages that the system hands out."""

import os
import subprocess
import sys

import pytest

STEPS = """
import resource

import torch

from raydnn.train.memory import keep_freed_memory

def pages() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step() -> None:
    # More than glibc keeps by itself.
    kept = [torch.ones(6 * 2**20) for _ in range(4)]

keep_freed_memory()
for _ in range(5):
    step()
before = pages()
for _ in range(10):
    step()
print(pages() - before)
"""
PAGES_OF_A_STEP = 4 * 24 * 2**20 // 4096


def pages_of_ten_steps(**environment: str) -> int:
    command = [sys.executable, "-c", STEPS]
    run = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(sys.platform != "linux" or os.sysconf("SC_PAGE_SIZE") != 4096, reason="counts pages of 4096 bytes")
def test_steps_find_the_memory_of_the_one_before_unless_the_user_has_settings_of_his_own() -> None:
    assert pages_of_ten_steps() < PAGES_OF_A_STEP
    assert pages_of_ten_steps(MALLOC_TRIM_THRESHOLD_="0") > 5 * PAGES_OF_A_STEP
