/** TLS: a certificate that is renewed under load, and connections that are counted below it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { connect as tcpConnect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { openScope } from '../../lab/scope.js';
import { until, withDeadline } from '../../lab/wait.js';
import { openCertificate } from '../../src/depot/http/tls.js';
import { HttpConnections } from '../../src/tracker/http-connections.js';
import { CERTIFICATE, PRIVATE_KEY, RENEWED_CERTIFICATE, RENEWED_KEY } from '../support/certificate.js';
import { openTestDoor } from './door-harness.js';
import { quickFolder } from './quick-folder.js';

const CA = [CERTIFICATE, RENEWED_CERTIFICATE];

function nameOf(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', ca: CA }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

test('a certificate is renewed under load: no request fails, half of a renewal changes nothing', async (context) => {
  const folder = await quickFolder(openScope(context));
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  writeFileSync(certFile, CERTIFICATE);
  writeFileSync(keyFile, PRIVATE_KEY);
  const told: string[] = [];
  const certificate = openCertificate(certFile, keyFile, (level, text) => void told.push(`${level} ${text}`));
  const connections = new HttpConnections();
  const { port, depository } = await openTestDoor(context, { door: { certificate, connections } });
  const bytes = Buffer.alloc(3_000_000, 'x');
  const agent = new Agent({ keepAlive: true, maxSockets: 4, ca: CA });
  context.after(() => agent.destroy());
  const send = (method: string, path: string, body?: Buffer, own: Agent | false = agent): Promise<number> =>
    new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, path, method, agent: own, ca: CA };
      const asked = request(options, (response) => {
        let got = 0;
        response.on('data', (part: Buffer) => {
          got += part.length;
        });
        response.on('end', () => {
          const isShort = method === 'GET' && got !== bytes.length;
          resolve(isShort ? 0 : response.statusCode!);
        });
      });
      asked.on('error', reject).end(body);
    });
  assert.equal(await send('PUT', '/artifacts/big', bytes), 201);
  const statuses: number[] = [];
  let isOver = false;
  const load = Array.from({ length: 4 }, async (_, who) => {
    for (let k = 0; !isOver; k++) {
      statuses.push(await send('GET', '/artifacts/big'));
      statuses.push(
        await send('PUT', `/artifacts/${who}-${k}`, bytes.subarray(0, 100_000), k % 2 === 0 ? agent : false),
      );
    }
  });
  const isBusy = async (): Promise<void> => {
    const before = statuses.length;
    await until('it is under load', 30_000, () => statuses.length >= before + 8);
  };
  await isBusy();
  assert.equal(await nameOf(port), 'swarmhaul test');
  writeFileSync(certFile, RENEWED_CERTIFICATE);
  certificate.look();
  assert.match(told.at(-1)!, /^warn TLS: the old certificate stays/);
  assert.equal(await nameOf(port), 'swarmhaul test');
  await isBusy();
  writeFileSync(keyFile, RENEWED_KEY);
  certificate.look();
  assert.match(told.at(-1)!, /^info TLS: /);
  assert.equal(await nameOf(port), 'swarmhaul renewed');
  await isBusy();
  // A renewal that fails, in ways in which they do.
  writeFileSync(keyFile, '');
  certificate.look();
  await rm(certFile);
  certificate.look();
  await chmod(folder, 0o000);
  certificate.look();
  await chmod(folder, 0o700);
  assert.equal(await nameOf(port), 'swarmhaul renewed');
  isOver = true;
  await Promise.all(load);
  assert.deepEqual([...new Set(statuses)].sort(), [200, 201]);
  assert.ok(depository.rows.size > 8);
  agent.destroy();
  await until('no connection is counted that is gone', 10_000, () => connections.count === 0);
});

test('below TLS, too, a crowd of idle connections ends no request', async (context) => {
  const folder = await quickFolder(openScope(context));
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  writeFileSync(certFile, CERTIFICATE);
  writeFileSync(keyFile, PRIVATE_KEY);
  const certificate = openCertificate(certFile, keyFile, undefined);
  const limits = { total: 5, share: 5, waiting: { total: 1e6, share: 1e6 } };
  const connections = new HttpConnections(() => false, limits);
  const { port, depository } = await openTestDoor(context, { door: { certificate, connections } });
  const open = (): TLSSocket => {
    const socket = connect({ port, host: '127.0.0.1', ca: CA }).on('error', () => {});
    context.after(() => void socket.destroy());
    return socket;
  };
  const upload = open();
  upload.write('PUT /artifacts/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n123');
  await until('the upload began', 10_000, () => depository.publishing === 1);
  const idle: TLSSocket[] = [];
  for (let k = 0; k < 12; k++) {
    idle.push(open());
    await until('it is through', 10_000, () => idle[k]!.authorized);
  }
  await until('the oldest are closed', 10_000, () => idle.filter((socket) => socket.destroyed).length >= 8);
  let text = '';
  upload.setEncoding('latin1').on('data', (more: string) => {
    text += more;
  });
  upload.write('4567890');
  await until('the upload has its answer', 10_000, () => text.includes('\r\n\r\n'));
  assert.match(text, /^HTTP\/1\.1 201 /);
});

test('a handshake that does not go on, or is none, ends with its connection', async (context) => {
  const folder = await quickFolder(openScope(context));
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  writeFileSync(certFile, CERTIFICATE);
  writeFileSync(keyFile, PRIVATE_KEY);
  const certificate = openCertificate(certFile, keyFile, () => {});
  const connections = new HttpConnections();
  const { port } = await openTestDoor(context, { door: { certificate, connections } });
  const ended = ['\x16\x03\x01', 'GET / HTTP/1.1\r\n\r\n'].map((bytes) => {
    const socket = tcpConnect(port, '127.0.0.1', () => void socket.write(bytes)).on('error', () => {});
    context.after(() => void socket.destroy());
    return new Promise((resolve) => socket.resume().once('close', resolve));
  });
  await withDeadline(Promise.all(ended), 'the end of both', 30_000);
  await until('none is left', 5_000, () => connections.count === 0);
});
