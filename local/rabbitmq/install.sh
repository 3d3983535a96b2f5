#!/bin/sh
# Installs rabbitmq-server on Debian or Ubuntu, as root, without starting it as a system service.
# In a shell of its own: so the policy goes away again even if the process that started this is killed meanwhile.
set -u
export DEBIAN_FRONTEND=noninteractive

# invoke-rc.d asks this script before it starts a service; 101 forbids it. A machine that has one keeps its own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' HUP INT TERM
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

install() {
  apt-get install -y --no-install-recommends rabbitmq-server
}

# Package lists are missing in containers, or so old that the mirror has moved on.
install || { apt-get update && install; }
