// Calls every method of the npm package `supervisord` and checks the answers.
//
// client.js MODULES CONFIGURATION HOST, HOST as the package takes it: unix://..., or http://user:password@host:port.
'use strict';

const assert = require('assert');
const fs = require('fs');

const [modules, configuration, host] = process.argv.slice(2);
const connect = require(`${modules}/supervisord`).connect;

const BOUND_MS = 60000;
const client = connect(host);
const called = new Set();

// The package's methods take a callback; `this` is theirs.
function call(method, ...parameters) {
  called.add(method);
  return new Promise((resolve, reject) => {
    client[method](...parameters, (error, value) => (error ? reject(error) : resolve(value)));
  });
}

async function is(expected, method, ...parameters) {
  const seen = await call(method, ...parameters);
  if (typeof expected === 'function') assert(expected(seen), `${method}: ${JSON.stringify(seen)}`);
  else assert.deepStrictEqual(seen, expected, method);
}

async function fault(code, method, ...parameters) {
  await assert.rejects(call(method, ...parameters), (error) => error.faultCode === code, method);
}

async function until(what, probe) {
  const end = Date.now() + BOUND_MS;
  for (;;) {
    let seen;
    try {
      seen = await probe();
      if (seen === true) return;
    } catch (error) {
      seen = error;
    }
    assert(Date.now() < end, `waited for ${what}: ${seen}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function state(name, wanted) {
  return until(`${name} to be ${wanted}`, async () => (await call('getProcessInfo', name)).statename === wanted);
}

const ok = (rows) => rows.length > 0 && rows.every((row) => row.status === 80 && row.description === 'OK');

async function daemon() {
  await is('3.0', 'getAPIVersion');
  await is('3.0', 'getVersion');
  await is('4.3.0', 'getSupervisorVersion');
  await is('supervisor', 'getIdentification');
  await is({ statecode: 1, statename: 'RUNNING' }, 'getState');
  await is((pid) => Number.isInteger(pid) && pid > 1, 'getPID');
  await is((text) => text.includes('supervisord started with pid'), 'readLog', 0, 0);
  await is((text) => text.length === 10, 'readMainLog', 0, 10);
  await is(true, 'clearLog');
  await is(true, 'sendRemoteCommEvent', 'type', 'data');
  await is((names) => names.includes('supervisor.getState'), 'listMethods');
  await is((text) => text.length > 10, 'methodHelp', 'supervisor.getState');
  await is(['boolean', 'string', 'boolean'], 'methodSignature', 'supervisor.stopProcess');
  await is(['3.0', '3.0'], 'multicall', [
    { methodName: 'supervisor.getVersion', params: [] },
    { methodName: 'supervisor.getAPIVersion', params: [] },
  ]);
}

async function processes() {
  await is((info) => info.statename === 'RUNNING' && info.pid > 1 && info.logfile === info.stdout_logfile,
    'getProcessInfo', 'cat');
  await is((rows) => rows.map((row) => row.name).join() === 'cat,idle', 'getAllProcessInfo');
  await is((rows) => rows.length === 2 && rows[0].inuse === true, 'getAllConfigInfo');
  await is(true, 'startProcess', 'idle');
  await fault(60, 'startProcess', 'idle');
  await is(true, 'signalProcess', 'idle', 'CONT');
  await is(ok, 'signalProcessGroup', 'idle', 'CONT');
  await is(true, 'stopProcess', 'idle', true);
  await fault(70, 'stopProcess', 'idle');
  await fault(10, 'startProcess', 'nobody');
  await is(ok, 'startProcessGroup', 'idle', true);
  await is(ok, 'stopProcessGroup', 'idle');
  await is((rows) => ok(rows) && rows.length === 1, 'stopAllProcesses');
  await is((rows) => ok(rows) && rows.length === 2, 'startAllProcesses');
}

async function logs() {
  await is(true, 'sendProcessStdin', 'cat', 'hello\n');
  await until('the echo', async () => (await call('readProcessLog', 'cat', 0, 0)) === 'hello\n');
  await is('hello\n', 'readProcessStdoutLog', 'cat', 0, 0);
  await is('', 'readProcessStderrLog', 'cat', 0, 0);
  await is(['hello\n', 6, false], 'tailProcessLog', 'cat', 0, 100);
  await is(['lo\n', 6, true], 'tailProcessStdoutLog', 'cat', 0, 3);
  await is(['', 0, false], 'tailProcessStderrLog', 'cat', 0, 100);
  await is(true, 'clearProcessLog', 'cat');
  await is(true, 'clearProcessLogs', 'cat');
  await is('', 'readProcessLog', 'cat', 0, 0);
  await is((rows) => ok(rows) && rows.length === 2, 'clearAllProcessLogs');
}

async function groups() {
  fs.appendFileSync(configuration, '[program:added]\ncommand = /bin/cat\nstartsecs = 0\n');
  await is([[['added'], [], []]], 'reloadConfig');
  await is(true, 'addProcessGroup', 'added');
  await state('added', 'RUNNING');
  await fault(91, 'removeProcessGroup', 'added');
  await is(true, 'stopProcess', 'added');
  await is(true, 'removeProcessGroup', 'added');
}

async function ends() {
  const before = (await call('getProcessInfo', 'cat')).pid;
  await is(true, 'restart');
  await until('the daemon to be back', async () => {
    const info = await call('getProcessInfo', 'cat');
    return info.statename === 'RUNNING' && info.pid !== before;
  });
  await is(true, 'shutdown');
}

async function main() {
  await until('the daemon', async () => (await call('getState')).statename === 'RUNNING');
  await state('cat', 'RUNNING');
  for (const part of [daemon, processes, logs, groups, ends]) await part();
  const methods = Object.keys(Object.getPrototypeOf(client)).filter((name) => name !== '_call');
  assert.deepStrictEqual(methods.filter((name) => !called.has(name)), [], 'not called');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
