#!/bin/bash
# As inside.sh: the promises about limits, which only a kernel with the controllers of cgroup v2 can keep. Some scenes take all
# memory there is, so this runs in a virtual machine and nowhere else.
. /recipe/stage.sh
in_a_vm || { echo "FAIL limits.sh: this is no virtual machine of ours"; exit 1; }
SLICE=/sys/fs/cgroup/system.slice
HAS=$(cat /sys/fs/cgroup/cgroup.controllers)
for controller in cpu memory pids; do
  [[ " $HAS " = *" $controller "* ]] || { echo "FAIL limits.sh: no controller $controller among: $HAS"; exit 1; }
done

# Forks as often as it may, and says how often that was.
cat >/run/brood.py <<'X'
import os, signal
count = 0
while True:
    try:
        child = os.fork()
    except OSError:
        break
    if child == 0:
        signal.pause()
    count += 1
print(count, flush=True)
signal.pause()
X
# programs LIMITS: `limited` has them, `greedy` takes all memory it gets, of `many` there are four
programs() {
  head_of $CONF $RUN
  printf '[program:limited]\ncommand=sleep 100000\nstartretries=0\nstartsecs=0\n%b' "$1" >>$CONF
  cat >>$CONF <<X
[program:hungry]
command=tail /dev/zero
autostart=false
autorestart=false
startsecs=0
memory_max=24MB
[program:brood]
command=python3 /run/brood.py
autostart=false
startsecs=0
killtree=true
stdout_logfile=$RUN/brood.log
pids_max=4
X
  without_limits >>$CONF
}
without_limits() {
  cat <<X
[program:free]
command=sleep 100000
startsecs=0
[program:greedy]
command=tail /dev/zero
autostart=false
autorestart=false
startsecs=0
[program:many]
command=sleep 100000
process_name=%(process_num)d
numprocs=4
autostart=false
startretries=0
startsecs=0
X
}
file() { cat $SLICE/$UNIT/galaxyd-*-*/"limited:limited".*/"$1"; }
ctl() { galaxyctl -c $CONF "$@"; }
why_has() { ctl why "$1" | grep -qF "$2"; }
history_has() { ctl history "$1" | grep -qF "$2"; }
# same: the daemon and the bystander are those that they were when `note` was called
note() { main=$(prop MainPID); works=$(worker "$main"); free=$(pid_of free); }
same() {
  [ "$(prop MainPID)" = "$main" ] && [ "$(worker "$main")" = "$works" ] && [ "$(pid_of free)" = "$free" ] &&
    [ "$(prop Result)" = success ] && systemctl -q is-active $UNIT
}
states() { ctl status many: | grep -c "$1"; }

# --- without limits of programs: no controller is enabled for what is below the unit
# An emulated machine without memory may take longer than systemd waits for a sign of life on others.
drop_in "WatchdogSec=180"
head_of $CONF $RUN
without_limits >>$CONF
systemctl start $UNIT
wait_for 20 runs free
note
promise the_daemon_is_spared_for_want_of_memory_and_its_programs_are_not '[ "$(cat /proc/$main/oom_score_adj)" = -900 ]' \
  '[ "$(cat /proc/$works/oom_score_adj)" = -900 ]' '[ "$(cat /proc/$free/oom_score_adj)" = 0 ]' \
  '[ ! -e $SLICE/$UNIT/daemon/memory.events ]'

# The unit has room for one more process.
max=$(($(cat $SLICE/$UNIT/pids.current) + 1))
systemctl set-property --runtime $UNIT TasksMax=$max
ctl start many: >/dev/null 2>&1
wait_for 20 eval '[ $(states BACKOFF) -ge 3 ]'
waiting=$(ctl status many:)
systemctl set-property --runtime $UNIT TasksMax=infinity
promise f04_the_units_limit_of_processes_is_told_and_waited_for '[ "$(grep -cF "process limit reached (pids.max=$max" <<<"$waiting")" -ge 3 ]' \
  '! grep -q FATAL <<<"$waiting"' 'wait_for 60 eval "[ \$(states RUNNING) = 4 ]"' same

# The unit has a limit of memory.
systemctl set-property --runtime $UNIT MemoryMax=$(($(cat $SLICE/$UNIT/memory.current) + (32 << 20)))
ctl start greedy >/dev/null 2>&1
told="killed by the kernel OOM killer (memory limit of the daemon's unit, or of a cgroup above it)"
wait_for 60 log_has "exited: greedy ($told; not expected)"
systemctl set-property --runtime $UNIT MemoryMax=infinity
promise f32_at_the_units_limit_of_memory_a_program_ends_and_not_the_daemon 'log_has "exited: greedy ($told; not expected)"' \
  'log_has "the kernel OOM killer ended 1 process in $SLICE/$UNIT: its own limit of memory, or one above it, was reached"' \
  'why_has greedy "$told"' 'history_has greedy "$told"' same '[ $(states RUNNING) = 4 ]'

# --- limits of programs
programs 'memory_max=64MB\npids_max=9\n'
systemctl reload $UNIT
wait_for 20 runs limited
note
first=$(pid_of limited)
promise limits_hold_from_the_first_instruction '[ "$(file memory.max)" = 67108864 ]' '[ "$(file pids.max)" = 9 ]' \
  '[ "$(file cgroup.procs)" = "$first" ]'
ctl start brood >/dev/null 2>&1
wait_for 20 grep -qx 3 $RUN/brood.log
promise f04_a_program_at_its_limit_of_processes_is_alone_with_it 'grep -qx 3 $RUN/brood.log' 'runs brood' \
  'ctl restart many:' '[ $(states RUNNING) = 4 ]' 'ctl stop brood' '! pgrep -f brood.py' same
programs 'memory_high=32MB\ncpu_max=50%%\n'
systemctl reload $UNIT
promise an_update_moves_the_limits_of_a_running_program 'wait_for 10 eval "[ \$(file memory.high) = 33554432 ]"' \
  'wait_for 10 eval "[ \$(file memory.max) = max ]"' 'wait_for 10 eval "[ \"\$(file cpu.max)\" = \"50000 100000\" ]"' \
  '[ "$(file pids.max)" = max ]' '[ "$(pid_of limited)" = "$first" ]'
ctl start hungry >/dev/null 2>&1
told="killed by the kernel OOM killer (memory_max=24MB)"
wait_for 60 log_has "exited: hungry ($told; not expected)"
promise a_program_that_the_oom_killer_ended_is_told_so_and_nobody_else_suffers 'log_has "exited: hungry ($told; not expected)"' \
  'why_has hungry "$told"' '[ "$(pid_of limited)" = "$first" ]' same

# --- all memory of the machine
# With almost none left a kernel may still go on for minutes, by reading programs from the disk again and again. This one is to
# decide when it cannot keep what was used within the last second.
AGES=/sys/kernel/mm/lru_gen
[ ! -d $AGES ] || { echo y >$AGES/enabled; echo 1000 >$AGES/min_ttl_ms; }
ctl start greedy >/dev/null 2>&1
told="killed by the kernel OOM killer (the whole machine was out of memory)"
wait_for 120 log_has "exited: greedy ($told; not expected)"
promise f32_when_the_machine_is_out_of_memory_a_program_ends_and_not_the_daemon 'log_has "exited: greedy ($told; not expected)"' \
  'log_has "the kernel OOM killer ended 1 process in $SLICE/$UNIT: the whole machine was out of memory"' \
  'journalctl -k -o cat | grep -q "constraint=CONSTRAINT_NONE.*,global_oom,.*task=tail"' \
  'why_has greedy "$told"' 'history_has greedy "$told"' '[ "$(pid_of limited)" = "$first" ]' same

kill -KILL "$main"
wait_for 60 another_main "$main"
promise limits_outlive_the_daemon 'wait_for 20 runs limited' '[ "$(pid_of limited)" = "$first" ]' '[ "$(pid_of free)" = "$free" ]' \
  'wait_for 20 eval "[ \$(file memory.high) = 33554432 ]"' '[ "$(file cgroup.procs)" = "$first" ]'
systemctl stop $UNIT
the_end
