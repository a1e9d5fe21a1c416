#!/usr/bin/python3
"""Records end to end, beside bare ZeroMQ messages of the same frames and sizes.

A publisher says records with a job's whole context (a batch to a turn of its loop), the broker writes them to its
log and acknowledges them, a reader reads and decodes them: three processes, timed from the first record's
publication to the last one's decoding. The bare exchange has two: DEALER to ROUTER, the same batches. Rounds alternate.
"""

import os
import statistics
import subprocess
import sys

import common

HERE = os.path.dirname(os.path.abspath(__file__))


class Bench:
    """A process of events_main.cc."""

    def __init__(self, program, *arguments):
        self.process = subprocess.Popen([program] + [str(a) for a in arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            sys.exit("bench: %s did not start" % arguments[0])

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def times(self):
        line = self.process.stdout.readline()
        if self.process.wait() != 0:
            sys.exit("bench: status %d" % self.process.returncode)
        return [int(number) / 1e9 for number in line.split()]


def seconds(reader, writer):
    reader.go()
    writer.go()
    began = writer.times()[0]
    return reader.times()[1] - began


def main():
    parser = common.parser(__doc__.split("\n", maxsplit=1)[0])
    parser.set_defaults(elements=200000)
    parser.add_argument("--batch", type=int, default=64, help="records in one turn of the publisher's loop")
    arguments = parser.parse_args()
    program = os.path.join(os.path.dirname(arguments.sluice), "events_bench")
    count, batch = arguments.elements, arguments.batch
    with common.Workplace(arguments.sluice) as work:
        size = int(subprocess.run([program, "size"], stdout=subprocess.PIPE, check=True).stdout)
        print("events: %d records of %d bytes, %d in a batch, %d rounds, %s" % (count, size, batch, arguments.rounds, arguments.sluice), flush=True)
        rates, ratios = [], []
        for number in range(arguments.rounds):
            environment = work.home("home-%d" % number)
            session = work.run(environment, work.path, "session", "start")[1].strip()
            endpoint = "ipc://" + os.path.join(environment["XDG_RUNTIME_DIR"], "sluice", session, "records")

            def records():
                return seconds(Bench(program, "read", endpoint, count), Bench(program, "publish", endpoint, count, batch))

            def bare():
                at = "ipc://" + work.join("bare-%d" % number)
                return seconds(Bench(program, "receive", at, count), Bench(program, "send", at, count, batch))

            if number % 2 == 0:
                ours, raw = records(), bare()
            else:
                raw, ours = bare(), records()
            work.run(environment, work.path, "session", "stop", session)
            rates.append(count / ours)
            ratios.append(raw / ours)
            print("round %d: %.0f records a second; bare: %.0f; ratio %.3f" % (number + 1, count / ours, count / raw, raw / ours), flush=True)
        common.close("events", per_second=statistics.median(rates), ratio=statistics.median(ratios), bytes=size, batch=batch,
                     records=count, rounds=arguments.rounds)


if __name__ == "__main__":
    main()
