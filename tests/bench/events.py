#!/usr/bin/python3
"""Records end to end, beside bare ZeroMQ messages of the same frames and sizes, by one hop and by two.

A publisher says records with a job's whole context (a batch to a turn of its loop), the broker writes them to its
log and acknowledges them, a reader reads and decodes them: three processes, timed from the first record's
publication to the last one's decoding. The bare exchange has two: DEALER to ROUTER, the same batches. The relay has
three, as the records have, and does nothing but pass the batches on: what two hops allow. Rounds alternate.
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


def seconds(reader, writer, between=None):
    """Seconds from the writer's beginning to the reader's end."""
    processes = [process for process in (reader, between, writer) if process is not None]
    for process in processes:
        process.go()
    times = [process.times() for process in processes]
    return times[0][1] - times[-1][0]


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
        rates, ratios, relay_ratios = [], [], []
        for number in range(arguments.rounds):
            environment = work.home("home-%d" % number)
            session = work.run(environment, work.path, "session", "start")[1].strip()
            endpoint = "ipc://" + os.path.join(environment["XDG_RUNTIME_DIR"], "sluice", session, "records")

            def records():
                return seconds(Bench(program, "read", endpoint, count), Bench(program, "publish", endpoint, count, batch))

            def bare():
                at = "ipc://" + work.join("bare-%d" % number)
                return seconds(Bench(program, "receive", at, count), Bench(program, "send", at, count, batch))

            def relay():
                at = "ipc://" + work.join("relay-%d" % number)
                reader = Bench(program, "fetch", at, count)
                between = Bench(program, "relay", at, count)
                return seconds(reader, Bench(program, "send", at, count, batch), between)

            if number % 2 == 0:
                ours, raw, relayed = records(), bare(), relay()
            else:
                relayed, raw, ours = relay(), bare(), records()
            work.run(environment, work.path, "session", "stop", session)
            rates.append(count / ours)
            ratios.append(raw / ours)
            relay_ratios.append(relayed / ours)
            print("round %d: %.0f records a second; bare: %.0f, ratio %.3f; relay: %.0f, ratio %.3f"
                  % (number + 1, count / ours, count / raw, raw / ours, count / relayed, relayed / ours), flush=True)
        common.close("events", per_second=statistics.median(rates), ratio=statistics.median(ratios),
                     relay_ratio=statistics.median(relay_ratios), batch=batch, bytes=size, records=count, rounds=arguments.rounds)


if __name__ == "__main__":
    main()
