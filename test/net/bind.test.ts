import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromSystemError } from '../../src/errors.js';
import { bindTo } from '../../src/net/bind.js';

/** Binds to addresses for which there is no error; says what was tried. */
function binder(errors: Readonly<Record<string, string>>): { tried: string[]; bind(host: string): Promise<string> } {
  const tried: string[] = [];
  const bind = async (host: string): Promise<string> => {
    tried.push(host);
    const code = errors[host];
    if (code !== undefined) throw fromSystemError(Object.assign(new Error(code), { code }), 'listen on', host);
    return host;
  };
  return { tried, bind };
}

test('all addresses are those of IPv6, which take IPv4 along', async () => {
  const { tried, bind } = binder({});
  assert.equal(await bindTo(undefined, bind), '::');
  assert.deepEqual(tried, ['::']);
});

test('where there is no IPv6 they are those of IPv4', async () => {
  for (const code of ['EAFNOSUPPORT', 'EADDRNOTAVAIL']) {
    const { bind } = binder({ '::': code });
    assert.equal(await bindTo(undefined, bind), '0.0.0.0');
  }
});

test('any other trouble, and trouble of an address that was asked for, is told as it is', async () => {
  const taken = binder({ '::': 'EADDRINUSE' });
  await assert.rejects(bindTo(undefined, taken.bind), { code: 'PORT_IN_USE' });
  assert.deepEqual(taken.tried, ['::']);
  const named = binder({ '::1': 'EADDRNOTAVAIL' });
  await assert.rejects(bindTo('::1', named.bind), /listen on ::1/);
  assert.deepEqual(named.tried, ['::1']);
});
