"""The broker is killed while people sign in and connect, the agent while desktops run: nothing acknowledged is lost."""

import random
import threading
import time

from end_to_end import EndToEndTest, main
from lab import CommandFailed
from processes import executable, processes_naming

KILLS = 20
UNAVAILABLE = 4
MOST_ATTEMPTS = 8


def again(call, *arguments):
    """What a person does who is told that the service is not available: the same, once more."""
    for attempt in range(MOST_ATTEMPTS):
        try:
            return call(*arguments)
        except CommandFailed as failed:
            if failed.status != UNAVAILABLE or attempt + 1 == MOST_ATTEMPTS:
                raise
    return None


class CrashTest(EndToEndTest):
    pools = {"kantoor": {"min_desktops": 2, "max_desktops": 8, "running_spares": 2, "memory_mib": 128}}

    def test_1_the_broker_is_killed_twenty_times(self):
        # Enough for work to go on longer than the kills, which take half a minute.
        people = self.take(18)
        seed = random.randrange(1 << 32)
        self.tell(f"seed {seed}")
        chance = random.Random(seed)
        acknowledged, failures, over = [], [], threading.Event()

        def work(mine):
            for person in mine:
                try:
                    again(self.sign_in, person)
                    again(self.werkplek, person, "connect", "kantoor", "--screenshot",
                          f"{person.folder}/screen.png")
                    acknowledged.append((person.user, again(self.session_of, person)["id"]))
                    again(self.werkplek, person, "end", "kantoor", "--yes")
                except Exception as failure:  # pylint: disable=broad-except
                    failures.append(f"{person.user}: {failure}")
            finished.release()

        finished = threading.Semaphore(0)
        threads = [threading.Thread(target=work, args=(people[start::3],)) for start in range(3)]
        for thread in threads:
            thread.start()
        during = 0
        for _ in range(KILLS):
            over.wait(chance.uniform(0.2, 1.5))
            during += any(thread.is_alive() for thread in threads)
            self.lab.broker.kill()
            self.lab.broker.process.wait(10)
            self.lab.start_broker()
        for thread in threads:
            thread.join(400)
            self.assertFalse(thread.is_alive(), "a client did not finish")
        self.tell(f"{during} of {KILLS} kills while people worked")
        self.assertGreaterEqual(during, KILLS // 2, "the work was over too soon to be disturbed")
        self.assertEqual(failures, [])
        self.assertEqual(len(acknowledged), len(people))
        kept = {session["id"] for session in self.lab.ctl_json("session", "list", "--ended").get("sessions", [])}
        lost = [entry for entry in acknowledged if entry[1] not in kept]
        self.assertEqual(lost, [], "acknowledged sessions that the broker forgot")

    def test_2_the_agent_is_killed_and_finds_its_desktops_again(self):
        self.lab.wait_spares("kantoor", 2, timeout_s=240)

        def guests():
            return {pid for pid in processes_naming(self.lab.short_folder()) if "qemu-system" in executable(pid)}

        def spares():
            found = self.lab.ctl_json("desktop", "list").get("desktops", [])
            return {d["desktop"]["id"]: d["desktop"]["generation"] for d in found
                    if d["desktop"]["state"] == "DESKTOP_STATE_READY"}

        self.wait(lambda: len(guests()) == len(spares()), 60, "as many virtual machines as spares")
        machines, before = guests(), spares()
        for host, agent in list(self.lab.agents.items()):
            agent.kill()
            agent.process.wait(10)
            self.lab.start_agent(host)
        began = time.monotonic()
        self.wait(lambda: all(h.get("liveness") == "LIVENESS_UP" for h in self.lab.ctl_json("host", "list")["hosts"]),
                  30, "both hosts")
        self.tell(f"both agents re-adopted within {time.monotonic() - began:.1f} s")
        self.assertEqual(guests(), machines, "a virtual machine was stopped or started")
        self.assertEqual(spares(), before)


if __name__ == "__main__":
    main()
