"""Pools look after themselves: spares are left in peace, and a broken image stops its pool, not the host."""

import os
import shutil

from end_to_end import EndToEndTest, main


class PoolTest(EndToEndTest):
    def test_idle_spares_are_never_touched_by_the_disconnect_policy(self):
        self.lab.add_pool("rust", min_desktops=2, max_desktops=3, running_spares=2, suspend_after_s=1, end_after_s=6)
        self.lab.wait_spares("rust", 2)

        def spares():
            found = self.lab.ctl_json("desktop", "list", "--pool", "rust").get("desktops", [])
            return {d["desktop"]["id"]: (d["desktop"]["generation"], d.get("reported_power")) for d in found
                    if d["desktop"]["state"] == "DESKTOP_STATE_READY"}

        before = spares()
        # Meanwhile the policy acts on somebody's desktop, twice its own times.
        person, = self.take()
        self.sign_in(person)
        self.werkplek(person, "connect", "rust", "--screenshot", f"{person.folder}/screen.png")
        used = self.session_of(person)["desktop"]
        self.wait(lambda: not [s for s in self.sessions(user=person.user) if s["state"] != "SESSION_STATE_ENDED"], 60,
                  "the policy's end of the session")
        after = spares()
        for desktop, seen in before.items():
            if desktop != used:
                self.assertEqual(after.get(desktop), seen)
                self.assertEqual(seen[1], "POWER_RUNNING")

    def test_a_broken_image_trips_the_breaker_and_a_good_one_mends_it(self):
        # An image whose kernel is no kernel: every start fails.
        broken = os.path.join(self.folder, "broken")
        os.makedirs(broken)
        source = shutil.copy(os.path.join(self.lab.images, "disk.qcow2"), broken)
        kernel = os.path.join(broken, "vmlinuz")
        with open(kernel, "wb") as file:
            file.write(b"no kernel")
        image = self.lab.ctl_json("image", "get", "tiny")
        digest = image["image"]["sha256"]
        self.lab.ctl("image", "create", "stuk", "--source", source, "--sha256", digest, "--format", "qcow2", "--kernel",
                     kernel, "--initrd", os.path.join(self.lab.images, "initrd.img"), "--guest-agent", "true")
        self.lab.add_pool("stuk", image="stuk", min_desktops=1, max_desktops=2, running_spares=1, breaker_failures=2,
                          start_deadline_s=30)
        said = self.wait(lambda: self.lab.pool_status("stuk").get("breaker"), 90, "the breaker")
        self.assertTrue(said)
        self.assertIn("stuk", self.lab.ctl("pool", "status"))
        person, = self.take()
        self.sign_in(person)
        answer = self.refused(self.werkplek, person, "connect", "stuk", "--screenshot", f"{person.folder}/x.png",
                              status=2)
        self.tell(answer.strip())
        self.lab.ctl("image", "update", "stuk", "--kernel", os.path.join(self.lab.images, "vmlinuz"))
        self.lab.wait_spares("stuk", 1, timeout_s=120)
        self.assertFalse(self.lab.pool_status("stuk").get("breaker"))
        self.werkplek(person, "connect", "stuk", "--screenshot", f"{person.folder}/screen.png")


if __name__ == "__main__":
    main()
