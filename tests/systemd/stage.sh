# What the scenes have in common; each script begins by reading this file.
set -u
UNIT=galaxyd.service
RUN=/run/galaxyd
CONF=/etc/supervisord.conf
DROP_IN=/run/systemd/system/$UNIT.d
mkdir -p "$DROP_IN"
STARTED=$(date +%s)

# Whether this is a machine of the recipe's, emulated and for us alone.
in_a_vm() { grep -qw systemd.unit=recipe.target /proc/cmdline; }
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
# another_main PID: a daemon with another main process than this one is ready
another_main() {
  local main; main=$(prop MainPID)
  [ "$main" != 0 ] && [ "$main" != "$1" ] && systemctl -q is-active $UNIT
}
log_has() { grep -qF "$1" $RUN/main.log; }
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
# The last line of each script.
the_end() { echo "# systemd $(systemctl --version | awk 'NR==1{print $2}'), $(($(date +%s) - STARTED)) s"; }
# head_of FILE DIRECTORY: a configuration without programs
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
