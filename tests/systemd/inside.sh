#!/bin/bash
# Runs inside a throwaway systemd (see main.rs). Prints "ok NAME", or "FAIL NAME: what was seen", for each promise.
set -u
UNIT=galaxyd.service
RUN=/run/galaxyd
CONF=/etc/supervisord.conf
DROP_IN=/run/systemd/system/$UNIT.d
mkdir -p "$DROP_IN"
STARTED=$(date +%s)

prop() { systemctl show -P "$1" "${2:-$UNIT}"; }
# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -ge $end ] && return 1
    sleep 0.05
  done
}
pid_of() { galaxyctl -c "${2:-$CONF}" pid "$1" 2>/dev/null; }
runs() { [ "$(pid_of "$1")" -gt 1 ] 2>/dev/null; }
alive() { kill -0 "$1" 2>/dev/null; }
status_is() { [[ "$(prop StatusText)" == $1 ]]; }
worker() { pgrep -P "$1" -x galaxyd; }
# promise NAME COMMAND...: each command is one fact; the first that fails is told
promise() {
  local name=$1; shift
  local fact
  for fact in "$@"; do
    eval "$fact" >/dev/null 2>&1 || { echo "FAIL $name: $fact; $(seen)"; return; }
  done
  echo "ok $name"
}
seen() {
  echo "$(prop ActiveState)/$(prop SubState) result=$(prop Result) main=$(prop MainPID) restarts=$(prop NRestarts)" \
    "status='$(prop StatusText)' log: $(journalctl -u $UNIT -o cat -n 6 --no-pager | tr '\n' '|')"
}
# head FILE DIRECTORY: a configuration without programs
head_of() {
  cat >"$1" <<X
[supervisord]
logfile=$2/main.log
pidfile=$2/main.pid
childlogdir=$2
[unix_http_server]
file=$2/supervisor.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://$2/supervisor.sock
X
}
drop_in() { printf "[Service]\n$1\n" >"$DROP_IN/test.conf"; systemctl daemon-reload; }
again() { systemctl stop $UNIT; systemctl reset-failed $UNIT 2>/dev/null; rm -f "$DROP_IN/test.conf"; systemctl daemon-reload; }

head_of $CONF $RUN
cat >>$CONF <<X
[program:steady]
command=sleep 100000
startsecs=0
[program:env]
command=sh -c 'env >$RUN/environment; exec sleep 100000'
startsecs=0
[program:broken]
command=/nowhere/at/all
startretries=0
[program:later]
command=sleep 100000
autostart=false
X

# --- ready, status, environment
drop_in "ExecStart=\nExecStart=/bin/sh -c 'until [ -e /run/go ]; do sleep 0.05; done; exec galaxyd -n -c $CONF'"
systemctl start --no-block $UNIT
wait_for 10 [ "$(prop ActiveState)" = activating ] || wait_for 10 sh -c "[ \$(systemctl show -P ActiveState $UNIT) = activating ]"
before=$(prop ActiveState)
touch /run/go
wait_for 60 systemctl -q is-active $UNIT
first=$(pid_of steady)
promise active_only_when_ready '[ "$before" = activating ]' 'systemctl -q is-active $UNIT' '[ "$first" -gt 1 ]'
wait_for 20 status_is '*broken FATAL'
promise status_says_how_programs_are 'status_is "2 of 4 programs running; broken FATAL"'
wait_for 20 grep -q ^PATH= $RUN/environment
promise programs_cannot_speak_for_the_daemon 'grep -q ^SUPERVISOR_ENABLED=1 $RUN/environment' \
  '! grep -E "^(NOTIFY_SOCKET|WATCHDOG_|LISTEN_|FDSTORE)" $RUN/environment'

# --- reload
main=$(prop MainPID)
printf '[program:added]\ncommand=sleep 100000\nstartsecs=0\n' >>$CONF
systemctl reload $UNIT; code=$?
wait_for 20 runs added
promise reload_applies_what_changed '[ $code = 0 ]' 'runs added' '[ "$(pid_of steady)" = "$first" ]' \
  '[ "$(prop MainPID)" = "$main" ]' 'wait_for 10 status_is "3 of 5 *"' 'systemctl -q is-active $UNIT'
cp $CONF /run/good.conf
printf '[program:worse]\nstartsecs=never\n' >>$CONF
systemctl reload $UNIT; code=$?
promise reload_of_a_broken_configuration_fails_and_changes_nothing '[ $code != 0 ]' '[ "$(pid_of steady)" = "$first" ]' \
  'systemctl -q is-active $UNIT' 'journalctl -u $UNIT -o cat | grep -q never'
cp /run/good.conf $CONF

# --- kill -9 of the main process
kill -KILL "$main"
wait_for 60 sh -c "p=\$(systemctl show -P MainPID $UNIT); [ \$p != 0 ] && [ \$p != $main ] && systemctl -q is-active $UNIT"
promise programs_survive_the_daemons_death_and_are_taken_over 'wait_for 20 runs steady' '[ "$(pid_of steady)" = "$first" ]' \
  '[ "$(pgrep -fxc "sleep 100000")" = 3 ]' '[ "$(prop NRestarts)" = 1 ]' 'wait_for 10 status_is "3 of 5 *"'

# --- restart, stop
systemctl restart $UNIT
promise restart_begins_anew 'systemctl -q is-active $UNIT' 'wait_for 20 runs steady' '[ "$(pid_of steady)" != "$first" ]' '! alive $first'
cat >>$CONF <<X
[program:leaver]
command=sh -c 'setsid sh -c "trap : TERM HUP; while :; do sleep 3333; done" & exec sleep 100000'
startsecs=0
X
systemctl reload $UNIT
wait_for 20 pgrep -fx 'sleep 3333'
systemctl stop $UNIT
promise stop_leaves_nothing '[ "$(prop Result)" = success ]' '! pgrep -f "sleep (3333|100000)"' '! pgrep -x galaxyd' \
  '[ ! -e /sys/fs/cgroup/system.slice/$UNIT ] || ! grep -qr . /sys/fs/cgroup/system.slice/$UNIT/cgroup.procs'
cp /run/good.conf $CONF

# --- a stop that takes its time
again
drop_in "TimeoutStopSec=2"
printf '[program:slow]\ncommand=sh -c '"'"'trap "" TERM; touch %s/deaf; while :; do sleep 0.1; done'"'"'\nstopwaitsecs=5\nkillasgroup=true\n' $RUN >>$CONF
systemctl start $UNIT
wait_for 20 [ -e $RUN/deaf ]
begin=$SECONDS; systemctl stop $UNIT; took=$((SECONDS - begin))
promise an_orderly_stop_may_take_longer_than_the_units '[ "$(prop Result)" = success ]' '[ $took -ge 4 ]'
cp /run/good.conf $CONF

# --- the watchdog
again
drop_in "WatchdogSec=3"
systemctl start $UNIT
wait_for 20 runs steady
main=$(prop MainPID); first=$(pid_of steady); hung=$(worker "$main")
kill -STOP "$hung"
wait_for 30 sh -c "! kill -0 $hung"
promise a_worker_that_hangs_is_replaced_before_systemd_acts '! alive $hung' 'wait_for 20 runs steady' '[ "$(pid_of steady)" = "$first" ]' \
  '[ "$(prop MainPID)" = "$main" ]' '[ "$(prop NRestarts)" = 0 ]'
kill -STOP "$main"
wait_for 60 sh -c "p=\$(systemctl show -P MainPID $UNIT); [ \$p != 0 ] && [ \$p != $main ] && systemctl -q is-active $UNIT"
promise a_keeper_that_hangs_is_replaced_by_systemd_and_programs_survive 'wait_for 20 runs steady' '[ "$(pid_of steady)" = "$first" ]' \
  '[ "$(prop NRestarts)" -ge 1 ]' 'journalctl -u $UNIT | grep -qi watchdog'

# --- an upgrade
again
drop_in "WatchdogSec=3"
rm -f /run/knocked /run/knocking
cat >/run/knock.py <<'X'
import os, socket, sys, time
refused = count = 0
while not os.path.exists("/run/knocked"):
    for path in sys.argv[1:]:
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(path)
            except OSError:
                refused += 1
    count += 1
    if count == 20:
        open("/run/knocking", "w").close()
    time.sleep(0.002)
print(refused, count)
X
# Package managers replace the file; the running program keeps its own.
install_next() { cp /usr/bin/galaxyd /usr/bin/galaxyd.next && mv /usr/bin/galaxyd.next /usr/bin/galaxyd; }
executes() { [ "$(readlink /proc/"$1"/exe)" = "$2" ]; }
systemctl start $UNIT
wait_for 20 runs steady
main=$(prop MainPID); first=$(pid_of steady); former=$(worker "$main")
python3 /run/knock.py $RUN/supervisor.sock >/run/knocks & knocker=$!
wait_for 20 [ -e /run/knocking ]
install_next
replaced=$(readlink "/proc/$main/exe")
galaxyctl -c $CONF upgrade >/run/upgrade.out 2>&1; code=$?
touch /run/knocked; wait $knocker
read -r refused count </run/knocks
promise an_upgrade_keeps_the_main_process_and_the_programs '[ $code = 0 ]' '[[ $replaced = *deleted* ]]' '[ "$(prop MainPID)" = "$main" ]' \
  'executes $main /usr/bin/galaxyd' 'wait_for 20 executes "$(worker $main)" /usr/bin/galaxyd' '[ "$(worker $main)" != "$former" ]' \
  '[ "$(pid_of steady)" = "$first" ]' '[ "$(prop NRestarts)" = 0 ]' 'systemctl -q is-active $UNIT' '[ $refused = 0 ]' '[ $count -gt 20 ]'
# Signs of life of the new program, and its status.
signs() { prop WatchdogTimestampMonotonic; }
first_sign=$(signs); galaxyctl -c $CONF start later >/dev/null 2>&1
wait_for 20 eval '[ "$(signs)" -gt "$first_sign" ]'
second_sign=$(signs)
promise the_new_program_goes_on_speaking_to_systemd 'wait_for 10 status_is "4 of 5 *"' '[ "$second_sign" -gt "$first_sign" ]' \
  'wait_for 20 eval "[ \$(signs) -gt $second_sign ]"' \
  '[ "$(prop NRestarts)" = 0 ]' '[ "$(prop MainPID)" = "$main" ]' '[ "$(prop Result)" = success ]' 'systemctl -q is-active $UNIT'
galaxyctl -c $CONF upgrade /bin/true >/run/upgrade.out 2>&1; code=$?
promise a_program_that_is_no_successor_changes_nothing_for_systemd '[ $code = 1 ]' 'grep -q "stays in charge" /run/upgrade.out' \
  '[ "$(prop MainPID)" = "$main" ]' '[ "$(pid_of steady)" = "$first" ]' 'systemctl -q is-active $UNIT'
hung=$(worker "$main")
kill -STOP "$hung"
promise the_new_keeper_replaces_a_worker_that_hangs 'wait_for 30 eval "! alive $hung"' 'wait_for 20 runs steady' \
  '[ "$(pid_of steady)" = "$first" ]' '[ "$(prop MainPID)" = "$main" ]' '[ "$(prop NRestarts)" = 0 ]'
systemctl reload $UNIT; code=$?
promise the_new_program_is_reloaded '[ $code = 0 ]' 'systemctl -q is-active $UNIT' '[ "$(pid_of steady)" = "$first" ]'
kill -KILL "$main" "$(worker "$main")"
wait_for 60 sh -c "p=\$(systemctl show -P MainPID $UNIT); [ \$p != 0 ] && [ \$p != $main ] && systemctl -q is-active $UNIT"
promise what_the_new_program_left_is_taken_over 'wait_for 20 runs steady' '[ "$(pid_of steady)" = "$first" ]' '[ "$(prop NRestarts)" = 1 ]'
systemctl restart $UNIT
promise a_restart_after_an_upgrade_begins_anew 'systemctl -q is-active $UNIT' 'wait_for 20 runs steady' '! alive $first'
install_next
galaxyctl -c $CONF upgrade >/run/upgrade.out 2>&1; code=$?
systemctl stop $UNIT
promise a_stop_after_an_upgrade_leaves_nothing '[ $code = 0 ]' '[ "$(prop Result)" = success ]' '! pgrep -f "sleep 100000"' '! pgrep -x galaxyd'
rm -f /run/knocked /run/knocking

# --- limits
again
HAS=$(cat /sys/fs/cgroup/cgroup.controllers 2>/dev/null)
limits() { # limits KEYS: the program "limited" has them
  head_of $CONF $RUN
  printf '[program:limited]\ncommand=sleep 100000\nstartretries=0\nstartsecs=0\n%b' "$1" >>$CONF
  printf '[program:hungry]\ncommand=tail /dev/zero\nautostart=false\nautorestart=false\nstartsecs=0\nmemory_max=24MB\n' >>$CONF
  printf '[program:free]\ncommand=sleep 100000\nstartsecs=0\n' >>$CONF
}
file() { cat /sys/fs/cgroup/system.slice/$UNIT/galaxyd-*-*/"limited:limited".*/"$1"; }
log_has() { grep -q "$1" $RUN/main.log; }
limits 'memory_max=64MB\npids_max=9\n'
systemctl start $UNIT
wait_for 20 runs free
case " $HAS " in
*" memory "*)
  wait_for 20 runs limited
  main=$(prop MainPID); first=$(pid_of limited); free=$(pid_of free)
  promise limits_hold_from_the_first_instruction '[ "$(file memory.max)" = 67108864 ]' '[ "$(file pids.max)" = 9 ]' \
    '[ "$(file cgroup.procs)" = "$first" ]'
  limits 'memory_high=32MB\ncpu_max=50%%\n'
  systemctl reload $UNIT
  promise an_update_moves_the_limits_of_a_running_program 'wait_for 10 eval "[ \$(file memory.high) = 33554432 ]"' \
    'wait_for 10 eval "[ \$(file memory.max) = max ]"' 'wait_for 10 eval "[ \"\$(file cpu.max)\" = \"50000 100000\" ]"' \
    '[ "$(file pids.max)" = max ]' '[ "$(pid_of limited)" = "$first" ]'
  galaxyctl -c $CONF start hungry >/dev/null 2>&1
  wait_for 60 log_has 'exited: hungry (killed by the kernel OOM killer (memory_max=24MB); not expected)'
  promise a_program_that_the_oom_killer_ended_is_told_so_and_nobody_else_suffers \
    'log_has "exited: hungry (killed by the kernel OOM killer (memory_max=24MB); not expected)"' \
    'galaxyctl -c $CONF why hungry | grep -q "killed by the kernel OOM killer (memory_max=24MB)"' \
    '[ "$(pid_of limited)" = "$first" ]' '[ "$(pid_of free)" = "$free" ]' '[ "$(prop MainPID)" = "$main" ]' '[ "$(prop Result)" = success ]'
  kill -KILL "$main"
  wait_for 60 sh -c "p=\$(systemctl show -P MainPID $UNIT); [ \$p != 0 ] && [ \$p != $main ] && systemctl -q is-active $UNIT"
  promise limits_outlive_the_daemon 'wait_for 20 runs limited' '[ "$(pid_of limited)" = "$first" ]' \
    'wait_for 20 eval "[ \$(file memory.high) = 33554432 ]"' '[ "$(file cgroup.procs)" = "$first" ]'
  ;;
*)
  for name in limits_hold_from_the_first_instruction an_update_moves_the_limits_of_a_running_program limits_outlive_the_daemon \
    a_program_that_the_oom_killer_ended_is_told_so_and_nobody_else_suffers; do
    echo "cannot $name: the controllers of cgroup v2 here are: ${HAS:-none}"
  done
  ;;
esac
if [ "$(cat /proc/$$/oom_score_adj)" -lt 0 ] || [ "$(cat /proc/"$(prop MainPID)"/oom_score_adj)" -lt 0 ]; then
  promise the_daemon_is_spared_for_want_of_memory_and_its_programs_are_not \
    '[ "$(cat /proc/$(prop MainPID)/oom_score_adj)" = -900 ]' '[ "$(cat /proc/$(worker $(prop MainPID))/oom_score_adj)" = -900 ]' \
    '[ "$(cat /proc/$(pid_of free)/oom_score_adj)" = 0 ]'
else
  echo "cannot the_daemon_is_spared_for_want_of_memory_and_its_programs_are_not: nobody may lower oom_score_adj here"
fi
systemctl stop $UNIT
# A unit that was handed nothing.
drop_in "Delegate=no"
limits 'memory_max=64MB\n'
systemctl start $UNIT
wait_for 20 status_is '*limited FATAL*'
promise limits_that_cannot_be_enforced_refuse_the_start 'status_is "*limited FATAL*"' 'runs free' \
  'galaxyctl -c $CONF why limited | grep -q "memory_max=64MB cannot be enforced.*is not delegated.*Delegate=yes"'
systemctl stop $UNIT
cp /run/good.conf $CONF

# --- several instances
again
mkdir -p /etc/galaxyd
for name in one two; do
  head_of /etc/galaxyd/$name.conf $RUN/$name
  printf '[program:p]\ncommand=sleep 100000\nstartsecs=0\n' >>/etc/galaxyd/$name.conf
  systemctl start galaxyd@$name
done
one=$(pid_of p /etc/galaxyd/one.conf) two=$(pid_of p /etc/galaxyd/two.conf)
systemctl stop galaxyd@one
promise instances_do_not_meet '[ "$one" -gt 1 ]' '[ "$two" -gt 1 ]' '[ "$one" != "$two" ]' '! alive $one' 'alive $two' \
  'systemctl -q is-active galaxyd@two'
systemctl stop galaxyd@two

# --- the descriptor store
again
rm -f /run/knocked /run/knocking
head_of $CONF $RUN
printf '[program:steady]\ncommand=sleep 100000\nstartsecs=0\n' >>$CONF
cp $CONF /run/plain.conf
printf '[fcgi-program:pool]\ncommand=sleep 100000\nsocket=unix://%s/pool.sock\nstartsecs=0\n' $RUN >>$CONF
listening() { awk -v path="$RUN/$1" 'index($8, path) == 1 && $4 == "00010000" { print $7 }' /proc/net/unix; }
stored() { [ "$(prop NFileDescriptorStore)" = "$1" ]; }
systemctl start $UNIT
wait_for 20 runs pool
main=$(prop MainPID); pool=$(pid_of pool)
control=$(listening supervisor.sock); fcgi=$(listening pool.sock)
wait_for 10 stored 2
python3 /run/knock.py $RUN/supervisor.sock $RUN/pool.sock >/run/knocks & knocker=$!
wait_for 20 [ -e /run/knocking ]
kill -KILL "$main" "$(worker "$main")"
wait_for 60 sh -c "p=\$(systemctl show -P MainPID $UNIT); [ \$p != 0 ] && [ \$p != $main ] && systemctl -q is-active $UNIT"
wait_for 20 runs pool
touch /run/knocked; wait $knocker
read -r refused count </run/knocks
promise the_descriptor_store_keeps_listening_sockets_and_no_client_is_refused 'stored 2' '[ -n "$control" ]' '[ -n "$fcgi" ]' \
  '[ "$(listening supervisor.sock)" = "$control" ]' '[ "$(listening pool.sock)" = "$fcgi" ]' '[ "$(pid_of pool)" = "$pool" ]' \
  '[ $refused = 0 ]' '[ $count -gt 20 ]' '! log_has "Unlinking stale socket"'
cp /run/plain.conf $CONF
systemctl reload $UNIT
wait_for 20 stored 1
promise what_is_not_configured_any_more_leaves_the_store 'stored 1' '[ -z "$(listening pool.sock)" ]'
systemctl restart $UNIT
promise a_restart_stores_the_new_socket_alone 'wait_for 20 runs steady' 'wait_for 10 stored 1' '[ "$(listening supervisor.sock | wc -l)" = 1 ]'
systemctl stop $UNIT
cp /run/good.conf $CONF
rm -f /run/knocked /run/knocking

# --- socket activation
again
systemctl start galaxyd.socket
inactive=$(prop ActiveState)
galaxyctl -c $CONF status >/run/status.out 2>&1
wait_for 20 runs steady
main=$(prop MainPID)
promise the_first_client_starts_the_daemon '[ $inactive = inactive ]' 'systemctl -q is-active $UNIT' 'grep -q steady /run/status.out'
python3 /run/knock.py $RUN/supervisor.sock >/run/knocks & knocker=$!
wait_for 20 [ -e /run/knocking ]
kill -KILL "$main"
wait_for 60 sh -c "p=\$(systemctl show -P MainPID $UNIT); [ \$p != 0 ] && [ \$p != $main ] && systemctl -q is-active $UNIT"
systemctl restart $UNIT
touch /run/knocked; wait $knocker
read -r refused count </run/knocks
promise no_client_is_refused_across_a_crash_and_a_restart '[ $refused = 0 ]' '[ $count -gt 20 ]' 'wait_for 20 runs steady'
systemctl stop $UNIT
promise the_sockets_file_is_systemds '[ -S $RUN/supervisor.sock ]'
systemctl stop galaxyd.socket $UNIT

echo "# systemd $(systemctl --version | awk 'NR==1{print $2}'), $(($(date +%s) - STARTED)) s"
