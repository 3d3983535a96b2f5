#!/bin/sh
# Runs one RabbitMQ node for a parent that may die at any moment, even by SIGKILL.
#
# stdin is the leash: the parent holds the other end of this pipe and nobody else does, so it closes when the parent
# stops the node and just as well when the parent is gone. Either way the node is stopped in order, its port mapper
# is ended, and a directory that was made for it is removed. That is the only way in which all this ends.
#
#   arguments   <directory> <keep | remove> <epmd> <epmd's port> [NAME=value …] <rabbitmq-server>
#   stdout      "started <pid>", then "ended <status>" once the node is gone, however it went
#   stdin       a line: stop the node; once it has ended, a line: run it again; end of file: stop it, clean up, exit
set -u
directory=$1 afterwards=$2 epmd=$3 epmd_port=$4
shift 4
# Background jobs get /dev/null as stdin: the leash needs a number of its own.
exec 3<&0
# Telling a dead parent that the node has ended must not end the cleaning up.
trap '' PIPE

# A quorum queue reserves three handles, and a node without any left accepts no connection. Erlang sizes a table by this
# bound: "unlimited" would cost gigabytes. Only root may raise the hard limit; others get what they may have.
ulimit -n 65536 2>/dev/null || ulimit -Sn "$(ulimit -Hn)"

# In the foreground, because a port mapper that Erlang starts is a daemon which outlives everything.
"$epmd" -port "$epmd_port" -address 127.0.0.1 </dev/null >/dev/null 2>&1 3<&- &
mapper=$!

# n.b. runs beside the node; whoever reaps the node ends it.
hold_leash() {
  read -r _ <&3
  kill -TERM "$1"
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 1; done
  kill -KILL "$1"
}

again=yes
while [ "$again" ]; do
  env -i PATH="$PATH" "$@" </dev/null >>"$directory/rabbit.log" 2>&1 3<&- &
  node=$!
  echo "started $node"
  hold_leash "$node" >/dev/null 2>&1 &
  leash=$!
  wait "$node"
  status=$?
  kill "$leash" 2>/dev/null
  echo "ended $status" 2>/dev/null
  read -r again <&3 || again=
done

kill "$mapper"
wait "$mapper" 2>/dev/null
if [ "$afterwards" = remove ]; then rm -rf "$directory"; fi
