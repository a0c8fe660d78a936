"""The command line `consul-lock`.  It uses the public names of `consul_lock`, and only those."""

import time

FIRED_AT = time.time()
"""When consul-lock was started, by this host's calendar clock: it decides which cron slot is meant.

It is read before anything else is imported, as on a busy host that may take seconds, and the hosts
of a job agree only on the time at which their cron daemons fired.  Nor is it the start that the
kernel knows of: a shell that has slept may have become this process."""
