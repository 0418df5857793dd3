# shellcheck shell=bash
# One plausible way in which the first console starts the client; how the real ISO does it is unconfirmed.
if [ "$(tty)" = /dev/tty1 ]; then
    /usr/bin/start.sh
fi
