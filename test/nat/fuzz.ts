/**
 * Fuzzing of what a gateway says: descriptions, answers of SOAP, of the search and of NAT-PMP that were changed at
 * random. Nothing throws, all is bounded, and no URL leads anywhere but to the host that answers.
 * `node dist/test/nat/fuzz.js SECONDS [SEED]` goes on for so long; a failure prints the round and the seed.
 */
import assert from 'node:assert/strict';
import { locationOf, servicesOf, soapReply } from '../../src/nat/igd-messages.js';
import { decodeReply } from '../../src/nat/pmp-messages.js';
import { xmlLeaves } from '../../src/nat/xml.js';
import { makeRandom } from '../../src/random.js';
import { type FuzzOptions, fuzzFromShell, fuzzRounds } from '../support/fuzz.js';
import { description, envelope, fault, service, WAN_IP } from './gateways.js';

const HOST = '192.168.1.1';
const LOCATION = new URL(`http://${HOST}:49152/x.xml`);
const WORDS = [
  '<',
  '>',
  '</',
  '/>',
  '<!--',
  '-->',
  '<?',
  '<!DOCTYPE x [<!ENTITY y "z">]>',
  '<![CDATA[',
  '&#0;',
  '&#x110000;',
  '&#xd800;',
  '&lt;',
  '&',
  '"',
  "'",
  '\r\n',
  'http://8.8.8.8/',
  '//8.8.8.8/x',
  'http://user:word@192.168.1.1/',
  'https://192.168.1.1/',
  '<URLBase>http://8.8.8.8/</URLBase>',
  '<a>'.repeat(40),
  '<a/>'.repeat(500),
  '\0',
];

class Fuzz {
  readonly random: () => number;
  readonly texts: readonly string[];

  constructor(seed: number) {
    this.random = makeRandom(seed);
    const reply = `HTTP/1.1 200 OK\r\nST:${WAN_IP}\r\nLOCATION: ${LOCATION.href}\r\n\r\n`;
    this.texts = [
      description(service(WAN_IP, '/control')),
      envelope('<u:XResponse><NewExternalIPAddress>9.8.7.6</NewExternalIPAddress></u:XResponse>'),
      fault(718),
      reply,
    ];
  }

  below(count: number): number {
    return Math.floor(this.random() * count);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  mutate(text: string): string {
    let changed = text;
    for (let times = this.below(5); times > 0; times--) {
      const at = this.below(changed.length + 1);
      const word = this.below(3) === 0 ? String.fromCharCode(this.below(256)) : this.pick(WORDS);
      changed = changed.slice(0, at) + word + changed.slice(at + this.below(8));
    }
    return changed;
  }

  round(): void {
    const text = this.mutate(this.pick(this.texts));
    for (const { path, text: inside } of xmlLeaves(text) ?? [])
      assert.ok(path.length <= 32 && inside.length <= text.length);
    for (const { control } of servicesOf(text, LOCATION) ?? []) this.#isOfHost(control);
    const reply = soapReply(text, 'X');
    if (reply?.kind === 'fault') assert.ok(Number.isInteger(reply.code));
    const location = locationOf(Buffer.from(text, 'latin1'), HOST, this.below(2) === 0 ? null : HOST);
    if (location !== null) this.#isOfHost(location);
    assert.equal(locationOf(Buffer.from(text, 'latin1'), '8.8.8.8', null), null);
    this.#pmp();
  }

  #isOfHost({ protocol, hostname, username, password }: URL): void {
    assert.deepEqual([protocol, hostname, username, password], ['http:', HOST, '', '']);
  }

  #pmp(): void {
    const bytes = Buffer.from(Uint8Array.from({ length: this.below(20) }, () => this.below(256)));
    if (bytes.length > 1 && this.below(2) === 0) bytes.set([0, 128 + this.below(3), 0, 0].slice(0, bytes.length));
    const reply = decodeReply(bytes);
    if (reply?.kind === 'mapping') assert.ok(reply.externalPort <= 65_535 && bytes.length === 16);
    if (reply?.kind === 'address') assert.ok(/^[\d.]+$/.test(reply.host) && bytes.length === 12);
  }
}

export function fuzzGateways(options: FuzzOptions): { readonly rounds: number } {
  const fuzz = new Fuzz(options.seed);
  return { rounds: fuzzRounds(() => fuzz.round(), options) };
}

fuzzFromShell(import.meta.url, (options) => `${fuzzGateways(options).rounds} answers`);
