/**
 * Compose file and manifests of several depots. Neither runs here: what they name is there, all depots are named by
 * each, and nothing secret is in them.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { haul } from '../cli/harness.js';

const read = (file: string): Promise<string> => readFile(path.join(PACKAGE_ROOT, 'deploy/scale', file), 'utf8');

interface Service {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly volumes: readonly string[];
  readonly build: { readonly dockerfile: string; readonly args: Readonly<Record<string, string>> };
}

/** Each option is one of the command, its words are what the shell would give. */
async function checkWords(words: readonly string[], command = 'depot'): Promise<void> {
  assert.equal(words[0], command);
  const { stdout } = await haul(command, '--help');
  for (const word of words.slice(1)) {
    const [option] = word.split('=');
    assert.match(stdout, new RegExp(`\\s${option} `), word);
  }
}

const valuesOf = (words: readonly string[], option: string): string[] =>
  words.filter((word) => word.startsWith(`--${option}=`)).map((word) => word.slice(option.length + 3));

test('each depot of the compose file names all of them, by names that it lets in', async () => {
  const { services, volumes } = parse(await read('compose.yaml'), { merge: true }) as {
    services: Record<string, Service>;
    volumes: Record<string, null>;
  };
  const depots = Object.keys(services).filter((name) => name.startsWith('depot-'));
  assert.equal(depots.length, 3);
  for (const name of depots) {
    const { command, environment, volumes: own, build } = services[name]!;
    await checkWords(command);
    assert.deepEqual(
      valuesOf(command, 'other-depot'),
      depots.map((depot) => `http://${depot}:7070`),
    );
    assert.deepEqual(valuesOf(command, 'allow-host'), depots);
    assert.deepEqual(own, [`${name}:/data`], 'a folder of its own');
    assert.equal(new URL(environment.SWARMHAUL_CATALOGUE!).hostname, 'postgres');
    assert.equal(new URL(environment.SWARMHAUL_PEERS!).hostname, 'valkey');
    assert.match(valuesOf(command, 'store')[0]!, /endpoint=http:\/\/s3:7070/);
    const secrets = ['PGPASSWORD', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'SWARMHAUL_DEPOT_TOKENS'];
    for (const secret of secrets) assert.match(environment[secret]!, /^\$\{[A-Z0-9_]+:\?/, secret);
    const { peerDependencies } = JSON.parse(await readFile(path.join(PACKAGE_ROOT, 'package.json'), 'utf8')) as {
      peerDependencies: Record<string, string>;
    };
    assert.deepEqual(build.args.PACKAGES!.split(' ').sort(), Object.keys(peerDependencies).sort());
  }
  const agent = services.agent!.command;
  await checkWords(agent, 'agent');
  assert.deepEqual(
    valuesOf(agent, 'depot'),
    depots.map((depot) => `http://${depot}:7070`),
  );
  for (const { volumes: used } of Object.values(services))
    for (const volume of used ?? []) assert.ok(volume.split(':')[0]! in volumes, volume);
});

test('the manifests name all replicas, take secrets from a secret, and one goes at a time', async () => {
  const documents = parseAllDocuments(await read('kubernetes.yaml'));
  for (const document of documents) assert.deepEqual(document.errors, []);
  const all = documents.map((document) => document.toJS());
  assert.deepEqual(
    all.map(({ kind }) => kind),
    ['Service', 'PodDisruptionBudget', 'StatefulSet'],
  );
  const [service, budget, set] = all;
  assert.equal(service.spec.clusterIP, 'None');
  assert.equal(set.spec.serviceName, service.metadata.name);
  assert.deepEqual(budget.spec.selector.matchLabels, set.spec.selector.matchLabels);
  const [{ args, env, securityContext }] = set.spec.template.spec.containers;
  await checkWords(args);
  const hosts = Array.from(
    { length: set.spec.replicas },
    (_, k) => `${set.metadata.name}-${k}.${service.metadata.name}`,
  );
  assert.deepEqual(
    valuesOf(args, 'other-depot'),
    hosts.map((host) => `http://${host}:7070`),
  );
  for (const host of hosts) assert.ok(valuesOf(args, 'allow-host').includes(host), host);
  for (const { name, value, valueFrom } of env) assert.ok(value === undefined && valueFrom.secretKeyRef, name);
  assert.deepEqual(securityContext.capabilities, { drop: ['ALL'] });
});

test('the servers for a cluster are the ones that its depots name, with secrets from the same secret', async () => {
  const documents = parseAllDocuments(await read('kubernetes-servers.yaml'));
  for (const document of documents) assert.deepEqual(document.errors, []);
  const all = documents.map((document) => document.toJS());
  const services = all.filter(({ kind }) => kind === 'Service');
  const depots = await read('kubernetes.yaml');
  const compose = (
    parse(await read('compose.yaml'), { merge: true }) as { services: Record<string, { image: string }> }
  ).services;
  assert.deepEqual(services.map(({ metadata }) => metadata.name).sort(), ['postgres', 's3', 'valkey']);
  for (const { metadata, spec } of services) {
    const { name } = metadata;
    const { template, selector } = all.find((one) => one.kind !== 'Service' && one.metadata.name === name).spec;
    assert.deepEqual(selector.matchLabels, spec.selector);
    assert.deepEqual(template.metadata.labels, spec.selector);
    const [{ image, env, ports, securityContext, volumeMounts = [] }] = template.spec.containers;
    assert.equal(image, compose[name]!.image, 'as in the compose file');
    assert.deepEqual(ports, [{ name, containerPort: spec.ports[0].port }]);
    assert.equal(template.spec.securityContext.runAsNonRoot, true);
    assert.deepEqual(securityContext.capabilities, { drop: ['ALL'] });
    for (const { name: variable, valueFrom } of env as {
      name: string;
      valueFrom?: { secretKeyRef: { name: string } };
    }[])
      if (/PASSWORD|KEY/.test(variable)) assert.equal(valueFrom?.secretKeyRef.name, 'haul-depots', variable);
    for (const { name: volume } of volumeMounts) assert.equal(volume, 'data');
  }
  for (const url of ['postgres://haul:PASSWORD@postgres/depot', 'redis://:PASSWORD@valkey'])
    assert.ok(depots.includes(url), url);
});
