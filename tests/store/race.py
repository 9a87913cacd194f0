"""Run as a program: processes race to create keys of one store, forked after the parent has used its backend."""

import json
import os
import sys
import traceback

from mlops_kit.store.locate import backend_for


def race(backend, keys, me):
    """Name the keys that this process won."""
    return [key for key in keys if backend.create(key, f"{me} {os.urandom(8).hex()}".encode())]


def main(url, processes, count):
    backend = backend_for(url)
    backend.put("used/before", b"1")
    keys = [f"race/{number:06d}" for number in range(count)]
    start, gate = os.pipe()
    answers = []
    for me in range(processes):
        out, back = os.pipe()
        if os.fork() == 0:
            try:
                os.close(gate)
                os.read(start, 1)
                os.write(back, json.dumps(race(backend, keys, me)).encode())
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        os.close(back)
        answers.append(out)
    os.close(gate)
    won = []
    for out in answers:
        with open(out, "rb") as file:
            won.append(json.loads(file.read()))
    codes = [os.wait()[1] for _ in range(processes)]
    values = [backend.get(key).decode() for key in keys]
    print(json.dumps({"won": won, "codes": codes, "values": values, "before": backend.get("used/before").decode()}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
