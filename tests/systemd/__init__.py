"""The units of deploy/systemd, and under a real systemd: `sudo python -m tests.systemd.run` (minutes, root)."""
