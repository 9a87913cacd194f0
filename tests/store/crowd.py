"""Run as a program: processes forked together do the same to one store at once, and some of them may be killed."""

import json
import math
import os
import random
import signal
import sys
import threading
import time
import traceback

import mlops_kit as mk
from mlops_kit.errors import Conflict


@mk.track
def train(depth, rate=0.1, plan="a"):
    mk.log_metrics({"auc": 0.9, "loss": 1 / (depth + 1)})


def runs(url, me, count, tell):
    """Track some runs."""
    tracked = mk.track(train.__wrapped__, name="train", store=mk.Store(url))
    for depth in range(count):
        tracked(depth)


def promotions(url, me, count, tell):
    """Promote one's own version again and again, each time over the version believed to be live."""
    models = mk.ModelStore(mk.Store(url))
    mine, done = me + 1, 0
    while done < count:
        live = models.get("m@champion").version
        tell({"tries": live})
        try:
            won = models.promote(f"m:{mine}", expect=live, reason=f"{me} {done}")
        except Conflict as conflict:
            tell({"lost": str(conflict), "expected": live})
        else:
            tell({"seq": won.seq, "previous": won.previous, "version": mine})
            done += 1


def crowd(act, url, processes, count, victims):
    """Let forks act `count` times, and the victims until they are killed; give what each told and how it ended."""
    start, gate = os.pipe()
    children = []
    for me in range(processes):
        out, back = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(gate)
                os.read(start, 1)
                os.environ["MLOPS_KIT_USER"] = f"writer-{me}"
                times = math.inf if me < victims else count
                act(url, me, times, lambda told, back=back: os.write(back, json.dumps(told).encode() + b"\n"))
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(back)
        children.append((pid, out, []))
    begun = time.monotonic()
    os.close(gate)
    listeners = [threading.Thread(target=listen, args=(out, lines)) for _, out, lines in children]
    for listener in listeners:
        listener.start()
    for pid, _, lines in children[:victims]:
        while not lines:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.3))
        os.kill(pid, signal.SIGKILL)
    for listener in listeners:
        listener.join()
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid, _, _ in children]
    told = [[json.loads(line) for line in lines if line.endswith("\n")] for _, _, lines in children]
    return {"seconds": time.monotonic() - begun, "codes": codes, "told": told}


def listen(out, lines):
    with open(out, encoding="utf-8") as told:
        lines.extend(told)


def main(act, url, processes, count, victims):
    print(json.dumps(crowd({"runs": runs, "promotions": promotions}[act], url, processes, count, victims)))


if __name__ == "__main__":
    os.environ["MLOPS_KIT_SUMMARY"] = "0"
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]))
