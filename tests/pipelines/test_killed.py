"""A driver that is killed, and two at once: no step whose result is written runs again, and each answer is right."""

import subprocess
import sys

PROGRAM = """
import os, sys, time
import mlops_kit as mk

@mk.step
def square(x):
    return x * x

@mk.step(cache=False)
def send(x):
    return x

@mk.step
def dies(x):
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), 9)
    return x

@mk.pipeline(store=sys.argv[1])
def run(n):
    return [dies(send(square(i))) if i == n - 1 else square(i) for i in range(n)]

print(run(int(sys.argv[3])))
print(*(f"{call.name.rpartition(':')[2]} {'reused' if call.reused else 'ran'}" for call in run.last_run.steps))
"""


def program(tmp_path, *words):
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    command = [sys.executable, "program.py", str(tmp_path / "store"), *map(str, words)]
    return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def test_what_was_done_before_the_driver_was_killed_is_not_done_again(tmp_path):
    for n in (2, 4):
        driver = program(tmp_path, "kill", n)
        driver.communicate()
        assert driver.returncode == -9
    answer, steps = program(tmp_path, "live", 4).communicate()[0].splitlines()
    assert answer == "[0, 1, 4, 9]"
    assert steps == "square reused square reused square reused square reused send ran dies ran"


def test_two_drivers_at_once_are_both_right(tmp_path):
    drivers = [program(tmp_path, "live", 30) for _ in range(2)]
    answers = [driver.communicate()[0].splitlines()[0] for driver in drivers]
    assert answers == [str([i * i for i in range(30)])] * 2
