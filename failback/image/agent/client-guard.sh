#!/bin/sh
# Lies in the place of the client's start script. Whatever way the ISO starts that, it ends here: the agent runs the
# original, once. Sleeping keeps a console that logs in by itself from coming back at once; Ctrl+C ends it.
echo "The drs-failback agent runs the Failback Client on this machine; its progress is on the serial console."
echo "Nothing needs to be done here. The client's output is in /run/drs-failback/client/log."
# As a process of another name, since the agent looks for running clients by theirs.
exec sleep 2147483647
