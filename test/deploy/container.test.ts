/**
 * The Dockerfile and the manifests of Kubernetes. Neither runs here: what they name is there, what they start starts,
 * and they ask for no more rights than they need.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, symlink } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { startChild } from '../../lab/child.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { haul } from '../cli/harness.js';

const exec = promisify(execFile);
const DOCKER = 'deploy/docker/Dockerfile';
const KUBERNETES = 'deploy/kubernetes';
const NOBODY = 65_532;
const BUILD = fileURLToPath(new URL('../..', import.meta.url));

const readRoot = (file: string): Promise<string> => readFile(path.join(PACKAGE_ROOT, file), 'utf8');

/** Instructions of all stages, in order, continued lines joined. */
async function instructions(): Promise<{ word: string; rest: string; stage: number }[]> {
  const text = (await readRoot(DOCKER)).replace(/\\\n\s*/g, '');
  let stage = -1;
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, word = '', rest = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
      if (word === 'FROM') stage++;
      return { word, rest, stage };
    });
}

/** The JSON list of an instruction that needs no shell. */
function listOf(rest: string): string[] {
  return JSON.parse(rest.slice(rest.indexOf('['))) as string[];
}

test('the image is small, has a user of its own and a check that needs no shell', async () => {
  const all = await instructions();
  const last = Math.max(...all.map(({ stage }) => stage));
  const final = all.filter(({ stage }) => stage === last);
  const one = (word: string): string => final.find((instruction) => instruction.word === word)?.rest ?? '';
  assert.match(one('FROM'), /distroless\/nodejs20-debian12:nonroot$/);
  assert.equal(one('USER'), `${NOBODY}:${NOBODY}`);
  assert.equal(
    final.some(({ word }) => word === 'RUN'),
    false,
    'there is no shell to run it',
  );
  for (const word of ['ENTRYPOINT', 'CMD', 'HEALTHCHECK']) assert.ok(listOf(one(word)).length >= 2, word);
  for (const { word, rest } of all) {
    assert.notEqual(word, '', 'each line is an instruction');
    assert.notEqual(word, 'ADD');
    if (word === 'FROM') assert.match(rest, /^\S+:(?!latest)\S+/, 'a version is named');
  }
});

test('all that the image is made of is in the checkout, and let through to the builder', async () => {
  const letThrough = (await readRoot(`${DOCKER}.dockerignore`)).split('\n').filter((line) => line.startsWith('!'));
  for (const { word, rest, stage } of await instructions()) {
    if (word !== 'COPY' || stage !== 0) continue;
    for (const source of rest.split(' ').slice(0, -1)) {
      assert.ok(existsSync(path.join(PACKAGE_ROOT, source)), source);
      assert.ok(letThrough.includes(`!${source}`), `${source} in .dockerignore`);
    }
  }
});

test('what the image holds is enough for a depot, and its check tells a live one from a dead one', async (t) => {
  const scope = openScope(t);
  const root = path.join(await tempFolder(scope), 'app');
  await mkdir(path.join(root, 'dist'), { recursive: true });
  const all = await instructions();
  const copied = all.filter(({ word, rest }) => word === 'COPY' && rest.includes('--from=build /app/'));
  assert.deepEqual(
    copied.map(({ rest }) => rest.split(' ')[1]),
    ['/app/package.json', '/app/node_modules', '/app/dist/src'],
  );
  await cp(path.join(PACKAGE_ROOT, 'package.json'), path.join(root, 'package.json'));
  await cp(path.join(BUILD, 'src'), path.join(root, 'dist/src'), { recursive: true });
  await symlink(path.join(PACKAGE_ROOT, 'node_modules'), path.join(root, 'node_modules'));
  const [node = '', main = ''] = listOf(all.find(({ word }) => word === 'ENTRYPOINT')!.rest);
  const command = listOf(all.findLast(({ word }) => word === 'CMD')!.rest);
  assert.equal(node, '/nodejs/bin/node');
  // Other ports, as those may be taken here.
  const args = command.map((word) =>
    word.replace('0.0.0.0:7070', '0.0.0.0:0').replace('/data', path.join(root, 'data')),
  );
  const child = startChild(scope, process.execPath, [main.replace('/app', root), ...args, '--port', '0', '--json'], {
    env: { SWARMHAUL_DEPOT_TOKENS: 'a-secret-of-some-length read,write' },
  });
  const { port } = JSON.parse(
    await child.line('the depot listens', 20_000, (line) => line.includes('"listening"')),
  ) as { port: number };
  const check = listOf(all.find(({ word }) => word === 'HEALTHCHECK')!.rest).slice(1);
  const isWell = (url: string): Promise<boolean> =>
    exec(process.execPath, check, { env: { ...process.env, HAUL_HEALTH_URL: url } }).then(
      () => true,
      () => false,
    );
  assert.equal(await isWell(`http://127.0.0.1:${port}/healthz`), true);
  assert.equal(await isWell(`http://127.0.0.1:${port}/healthy`), false);
  await child.stop();
  assert.equal(await isWell(`http://127.0.0.1:${port}/healthz`), false);
});

interface Container {
  readonly args: string[];
  readonly ports: { name: string; containerPort: number }[];
  readonly env: { name: string }[];
  readonly volumeMounts: { name: string; mountPath: string }[];
  readonly securityContext: Record<string, unknown>;
  readonly resources: { limits: { memory: string } };
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly startupProbe: Probe;
}
interface Probe {
  readonly httpGet: { path: string; port: string };
}
interface Workload {
  readonly kind: string;
  readonly metadata: { name: string };
  readonly spec: {
    readonly serviceName?: string;
    readonly clusterIP?: string;
    readonly ports?: { targetPort: string }[];
    readonly selector: { matchLabels?: Record<string, string> } & Record<string, unknown>;
    readonly volumeClaimTemplates?: { metadata: { name: string } }[];
    readonly template: {
      readonly metadata: { labels: Record<string, string>; annotations: Record<string, string> };
      readonly spec: {
        readonly containers: Container[];
        readonly volumes: { name: string }[];
        readonly securityContext: Record<string, unknown>;
        readonly automountServiceAccountToken: boolean;
      };
    };
  };
}

async function workloads(): Promise<Workload[]> {
  const found: Workload[] = [];
  for (const file of await readdir(path.join(PACKAGE_ROOT, KUBERNETES))) {
    for (const document of parseAllDocuments(await readRoot(`${KUBERNETES}/${file}`))) {
      assert.deepEqual(document.errors, [], file);
      found.push(document.toJS() as Workload);
    }
  }
  return found;
}

test('the manifests say what belongs together by the same names', async () => {
  const all = await workloads();
  assert.deepEqual(all.map(({ kind }) => kind).sort(), ['DaemonSet', 'Service', 'StatefulSet']);
  const depot = all.find(({ kind }) => kind === 'StatefulSet')!;
  const service = all.find(({ kind }) => kind === 'Service')!;
  assert.equal(depot.spec.serviceName, service.metadata.name);
  assert.equal(service.spec.clusterIP, 'None', 'the tracker must see the addresses of pods');
  assert.deepEqual(service.spec.selector, depot.spec.template.metadata.labels);
  for (const { kind, spec } of all) {
    if (kind === 'Service') continue;
    const { metadata, spec: pod } = spec.template;
    const [container] = pod.containers as [Container];
    assert.deepEqual(spec.selector.matchLabels, metadata.labels);
    const volumes = [...pod.volumes, ...(spec.volumeClaimTemplates ?? []).map((claim) => claim.metadata)];
    assert.deepEqual(volumes.map(({ name }) => name).sort(), container.volumeMounts.map(({ name }) => name).sort());
    const http = container.ports.find(({ name }) => name === 'http')!.containerPort;
    assert.equal(metadata.annotations['prometheus.io/port'], String(http));
    assert.ok(container.args.includes(`--http=0.0.0.0:${http}`));
    for (const probe of [container.startupProbe, container.livenessProbe]) assert.equal(probe.httpGet.path, '/healthz');
    assert.equal(container.readinessProbe.httpGet.path, '/readyz');
  }
  const ports = depot.spec.template.spec.containers[0]!.ports.map(({ name }) => name);
  assert.deepEqual(
    service.spec.ports!.map(({ targetPort }) => targetPort),
    ports,
  );
});

test('pods have no right that they do not need', async () => {
  for (const { kind, spec } of await workloads()) {
    if (kind === 'Service') continue;
    const { securityContext, containers, automountServiceAccountToken } = spec.template.spec;
    assert.equal(automountServiceAccountToken, false);
    assert.equal(securityContext.runAsNonRoot, true);
    assert.equal(securityContext.runAsUser, NOBODY, 'the user of the image');
    assert.deepEqual(securityContext.seccompProfile, { type: 'RuntimeDefault' });
    for (const container of containers) {
      assert.deepEqual(container.securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      assert.ok(container.resources.limits.memory);
    }
  }
});

test('pods start haul with options that it knows', async () => {
  for (const { kind, spec } of await workloads()) {
    if (kind === 'Service') continue;
    const [command = '', ...options] = spec.template.spec.containers[0]!.args;
    const { stdout, exitCode } = await haul(command, '--help');
    assert.equal(exitCode, 0);
    for (const option of options) assert.match(stdout, new RegExp(`^ {2}${option.split('=', 1)[0]} `, 'm'));
  }
});
