#!/bin/bash
# Runs inside a throwaway systemd (see main.rs). Prints "ok NAME", or "FAIL NAME: what was seen", for each promise.
. /recipe/stage.sh
# Seconds: of the unit's patience with a daemon that is silent, with one that ends, of the program that it waits for then, and of a client. An
# emulated machine takes as long to load a program as others for all of an upgrade.
WATCHDOG=3 TIMEOUT=2 STOPWAITSECS=5 PATIENCE=10
! in_a_vm || WATCHDOG=20 TIMEOUT=10 STOPWAITSECS=18 PATIENCE=60

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
wait_for 60 another_main "$main"
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
drop_in "TimeoutStopSec=$TIMEOUT"
printf '[program:slow]\ncommand=sh -c '"'"'trap "" TERM; touch %s/deaf; while :; do sleep 0.1; done'"'"'\nstopwaitsecs=%s\nkillasgroup=true\n' $RUN $STOPWAITSECS >>$CONF
systemctl start $UNIT
wait_for 20 [ -e $RUN/deaf ]
begin=$SECONDS; systemctl stop $UNIT; took=$((SECONDS - begin))
promise an_orderly_stop_may_take_longer_than_the_units '[ "$(prop Result)" = success ]' '[ $took -ge $((STOPWAITSECS - 1)) ]'
cp /run/good.conf $CONF

# --- the watchdog
again
drop_in "WatchdogSec=$WATCHDOG"
systemctl start $UNIT
wait_for 20 runs steady
main=$(prop MainPID); first=$(pid_of steady); hung=$(worker "$main")
kill -STOP "$hung"
wait_for 30 sh -c "! kill -0 $hung"
promise a_worker_that_hangs_is_replaced_before_systemd_acts '! alive $hung' 'wait_for 20 runs steady' '[ "$(pid_of steady)" = "$first" ]' \
  '[ "$(prop MainPID)" = "$main" ]' '[ "$(prop NRestarts)" = 0 ]'
kill -STOP "$main"
wait_for 60 another_main "$main"
promise a_keeper_that_hangs_is_replaced_by_systemd_and_programs_survive 'wait_for 20 runs steady' '[ "$(pid_of steady)" = "$first" ]' \
  '[ "$(prop NRestarts)" -ge 1 ]' 'journalctl -u $UNIT | grep -qi watchdog'

# --- an upgrade
again
drop_in "WatchdogSec=$WATCHDOG"
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
wait_for 60 another_main "$main"
promise what_the_new_program_left_is_taken_over 'wait_for 20 runs steady' '[ "$(pid_of steady)" = "$first" ]' '[ "$(prop NRestarts)" = 1 ]'
systemctl restart $UNIT
promise a_restart_after_an_upgrade_begins_anew 'systemctl -q is-active $UNIT' 'wait_for 20 runs steady' '! alive $first'
install_next
galaxyctl -c $CONF upgrade >/run/upgrade.out 2>&1; code=$?
systemctl stop $UNIT
promise a_stop_after_an_upgrade_leaves_nothing '[ $code = 0 ]' '[ "$(prop Result)" = success ]' '! pgrep -f "sleep 100000"' '! pgrep -x galaxyd'
rm -f /run/knocked /run/knocking

# --- a unit that was handed nothing
again
drop_in "Delegate=no"
head_of $CONF $RUN
cat >>$CONF <<X
[program:limited]
command=sleep 100000
startretries=0
startsecs=0
memory_max=64MB
[program:free]
command=sleep 100000
startsecs=0
X
systemctl start $UNIT
wait_for 20 status_is '*limited FATAL*'
promise limits_that_cannot_be_enforced_refuse_the_start 'status_is "*limited FATAL*"' 'runs free' \
  'galaxyctl -c $CONF why limited | grep -q "memory_max=64MB cannot be enforced.*is not delegated.*Delegate=yes"'
systemctl stop $UNIT
cp /run/good.conf $CONF

# --- a family that nothing but its cgroup knows
again
cat >/run/family.sh <<'X'
trap '' TERM HUP
# Sessions of their own, no environment, no pipe of ours, a parent that is gone, and ever more of them.
(env -i /usr/bin/setsid /bin/sh -c 'while :; do /usr/bin/setsid /bin/sleep 4444 & /bin/sleep 0.1; done' </dev/null >/dev/null 2>&1 &)
while :; do sleep 0.1; done
X
printf '[program:family]\ncommand=sh /run/family.sh\nkilltree=true\nstopwaitsecs=2\nstartsecs=0\n' >>$CONF
members() { cat /sys/fs/cgroup/system.slice/$UNIT/galaxyd-*-*/family:family.*/cgroup.procs; }
systemctl start $UNIT
wait_for 20 eval '[ "$(pgrep -fxc "/bin/sleep 4444")" -ge 5 ]'
first=$(pid_of steady); known=$(members | wc -l)
begin=$SECONDS; galaxyctl -c $CONF stop family >/dev/null; took=$((SECONDS - begin)); left=$(pgrep -fx "/bin/sleep 4444")
promise f23_a_family_that_hides_is_ended_with_its_cgroup '[ $known -ge 7 ]' '[ -z "$left" ]' '[ $took -ge 2 ]' \
  'wait_for 10 eval "! members"' '[ "$(pid_of steady)" = "$first" ]' 'galaxyctl -c $CONF status family | grep -q STOPPED'
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
wait_for 60 another_main "$main"
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
galaxyctl -c $CONF --timeout $PATIENCE status >/run/status.out 2>&1
wait_for 20 runs steady
main=$(prop MainPID)
promise the_first_client_starts_the_daemon '[ $inactive = inactive ]' 'systemctl -q is-active $UNIT' 'grep -q steady /run/status.out'
python3 /run/knock.py $RUN/supervisor.sock >/run/knocks & knocker=$!
wait_for 20 [ -e /run/knocking ]
kill -KILL "$main"
wait_for 60 another_main "$main"
systemctl restart $UNIT
touch /run/knocked; wait $knocker
read -r refused count </run/knocks
promise no_client_is_refused_across_a_crash_and_a_restart '[ $refused = 0 ]' '[ $count -gt 20 ]' 'wait_for 20 runs steady'
systemctl stop $UNIT
promise the_sockets_file_is_systemds '[ -S $RUN/supervisor.sock ]'
systemctl stop galaxyd.socket $UNIT

the_end
