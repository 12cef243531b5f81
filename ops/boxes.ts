/**
 * Boxes for trying a cluster on one machine: network namespaces on a bridge, each with an address
 * and a folder of its own. Needs root, and iproute2; a delay needs python3 and /dev/net/tun too.
 *
 *     node ops/boxes.ts up 3            boxes 1 to 3, and how to reach them
 *     node ops/boxes.ts run 1 CMD…      runs a command in box 1
 *     node ops/boxes.ts cut 1 2         loses all that 1 and 2 send each other
 *     node ops/boxes.ts delay 1 2 150   holds it up for 150 ms each way
 *     node ops/boxes.ts mend            ends all cuts and delays
 *     node ops/boxes.ts down            removes all of it, folders too
 *
 * `--name skybox` tells several lay-outs apart. Box N has the address 10.213.<net>.N, where <net>
 * is the first that is free, and the machine itself 10.213.<net>.254. In its box a command finds
 * the box's folder at /var/tmp/<name>/box, so that no process finds the Unix sockets of another
 * box: they would lead around a cut.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

export const boxesMax = 100;
const hostNumber = 254;
const nobodysAddress = '02:5b:ff:ff:ff:ff';
const relayScript = join(import.meta.dirname, 'delay-link.py');

type Link = { readonly ifname: string; readonly addr_info?: readonly { readonly local: string }[] };

function ip(...words: string[]): string {
  return execFileSync('ip', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Where nothing is to be removed is as good as removed. */
function tryIp(...words: string[]): void {
  spawnSync('ip', words, { stdio: 'ignore' });
}

function canRun(program: string, ...words: string[]): boolean {
  return spawnSync(program, words, { stdio: 'ignore' }).status === 0;
}

/** Returns why there can be no boxes here, or null. */
export function problemWithBoxes(): string | null {
  if (process.getuid?.() !== 0) return 'network namespaces need root: run it with sudo';
  if (!canRun('ip', '-V')) return 'the program ip is missing: apt-get install iproute2';
  if (!canRun('unshare', '--net', 'true')) return 'this kernel or container permits no network namespaces';
  return null;
}

export class Boxes implements Disposable {
  readonly name: string;
  /** Has a folder for each box, by its number. */
  readonly folder: string;

  /** `name` is at most ten letters and digits, since interfaces have it. */
  constructor(name = 'skybox', folder = join('/var/tmp', name)) {
    if (!/^[a-z][a-z0-9]{0,9}$/.test(name))
      throw new Error(`--name: must be 1 to 10 letters and digits, not "${name}"`);
    this.name = name;
    this.folder = folder;
  }

  /** Lays out boxes 1 to `count`. Errors: an Error if there are some already. */
  up(count: number): void {
    const problem = problemWithBoxes();
    if (problem !== null) throw new Error(problem);
    if (this.count() > 0) throw new Error(`there are boxes of the name ${this.name}: remove them by \`down\` first`);
    const net = freeNet();
    try {
      ip('link', 'add', this.name, 'type', 'bridge');
      ip('address', 'add', `${net}.${hostNumber}/24`, 'dev', this.name);
      ip('link', 'set', this.name, 'up');
      for (let box = 1; box <= count; box++) this.#add(box, net);
    } catch (thrown) {
      this.down();
      throw thrown;
    }
  }

  #add(box: number, net: string): void {
    const namespace = this.#namespaceOf(box);
    // Its own name for now: both ends are here until one is moved.
    const [outside, inside] = [namespace, `${this.name}in${box}`];
    ip('netns', 'add', namespace);
    ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', inside);
    ip('link', 'set', outside, 'master', this.name);
    ip('link', 'set', outside, 'up');
    ip('link', 'set', inside, 'netns', namespace, 'name', 'eth0');
    ip('-n', namespace, 'address', 'add', `${net}.${box}/24`, 'dev', 'eth0');
    for (const link of ['lo', 'eth0']) ip('-n', namespace, 'link', 'set', link, 'up');
    for (const folder of [this.folderOf(box), this.ownFolder]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  #namespaceOf(box: number): string {
    return `${this.name}${box}`;
  }

  /** Returns how many boxes there are. */
  count(): number {
    const names = new Set(
      ip('netns', 'list')
        .split('\n')
        .map((line) => line.split(' ')[0]),
    );
    let count = 0;
    while (names.has(this.#namespaceOf(count + 1))) count++;
    return count;
  }

  #require(box: number): number {
    const count = this.count();
    if (count === 0) throw new Error(`there are no boxes of the name ${this.name}: lay them out by \`up\``);
    if (Number.isInteger(box) && box >= 1 && box <= count) return box;
    throw new Error(`there are boxes 1 to ${count}, and no ${box}`);
  }

  /** Returns the address of a box. */
  addressOf(box: number): string {
    return addressIn(ip('-n', this.#namespaceOf(this.#require(box)), '-j', 'address', 'show', 'eth0'));
  }

  /** The address of the machine itself. */
  get hostAddress(): string {
    return addressIn(ip('-j', 'address', 'show', this.name));
  }

  /** Returns the folder of a box, as one outside sees it. */
  folderOf(box: number): string {
    return join(this.folder, String(box));
  }

  /** The folder of each box, as the box sees it. */
  get ownFolder(): string {
    return join(this.folder, 'box');
  }

  /** Returns the words that run a command in a box when they precede it; its process id is kept. */
  prefixOf(box: number): string[] {
    const enter = ['ip', 'netns', 'exec', this.#namespaceOf(this.#require(box))];
    const script = 'mount --rbind "$0" "$1" && shift && exec "$@"';
    const mount = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script];
    return [...enter, ...mount, this.folderOf(box), this.ownFolder];
  }

  #pair(one: number, other: number): readonly (readonly [string, string])[] {
    if (one === other) throw new Error('a link has two ends: name two boxes');
    const [first, second] = [this.addressOf(one), this.addressOf(other)];
    return [
      [this.#namespaceOf(one), second],
      [this.#namespaceOf(other), first],
    ];
  }

  /** From now on nothing arrives of what two boxes send each other; neither end is told. */
  cut(one: number, other: number): void {
    this.#mendPair(one, other);
    for (const [namespace, peer] of this.#pair(one, other))
      ip('-n', namespace, 'neigh', 'replace', peer, 'lladdr', nobodysAddress, 'nud', 'permanent', 'dev', 'eth0');
  }

  /** From now on all that two boxes send each other comes `delayMs` later. */
  delay(one: number, other: number, delayMs: number): void {
    this.#mendPair(one, other);
    const ends = this.#pair(one, other).flatMap(([namespace, peer]) => [namespace, peer, deviceTo(peer)]);
    execFileSync('python3', [relayScript, String(delayMs), ...ends], { stdio: ['ignore', 'ignore', 'pipe'] });
  }

  #mendPair(one: number, other: number): void {
    for (const [namespace, peer] of this.#pair(one, other)) {
      tryIp('-n', namespace, 'link', 'delete', deviceTo(peer));
      tryIp('-n', namespace, 'neigh', 'delete', peer, 'dev', 'eth0');
    }
  }

  /** Ends all cuts and delays. */
  mend(): void {
    const count = this.count();
    for (let one = 1; one <= count; one++) {
      for (let other = one + 1; other <= count; other++) this.#mendPair(one, other);
    }
  }

  /** Removes boxes, bridge and folders. What runs in a box goes on without a network. */
  down(): void {
    for (let box = this.count(); box >= 1; box--) {
      const namespace = this.#namespaceOf(box);
      // What holds up packets ends with its devices, and keeps a namespace alive until then.
      for (const device of delayDevicesIn(namespace)) tryIp('-n', namespace, 'link', 'delete', device);
      // A link that is left by a failed `up` has no namespace yet.
      for (const words of [
        ['link', 'delete', namespace],
        ['netns', 'delete', namespace],
      ])
        tryIp(...words);
    }
    tryIp('link', 'delete', this.name);
    rmSync(this.folder, { recursive: true, force: true });
  }

  [Symbol.dispose](): void {
    this.down();
  }
}

function deviceTo(address: string): string {
  return `to${address.split('.')[3]}`;
}

function delayDevicesIn(namespace: string): string[] {
  const links = JSON.parse(ip('-n', namespace, '-j', 'link', 'show')) as readonly { readonly ifname: string }[];
  return links.map(({ ifname }) => ifname).filter((name) => /^to\d+$/.test(name));
}

function addressIn(json: string): string {
  const links = JSON.parse(json) as readonly Link[];
  const address = links.flatMap(({ addr_info: infos = [] }) => infos.map(({ local }) => local)).find(isIpv4);
  if (address === undefined) throw new Error(`no address is set up: ${json.trim()}`);
  return address;
}

function isIpv4(address: string): boolean {
  return address.includes('.');
}

/** Returns the first three parts of addresses that nothing on this machine has. */
function freeNet(): string {
  const used = ip('-4', 'address', 'show') + ip('-4', 'route', 'show', 'table', 'all');
  for (let net = 0; net < 256; net++) if (!used.includes(`10.213.${net}.`)) return `10.213.${net}`;
  throw new Error('all of 10.213.0.0/16 is in use');
}

function show(boxes: Boxes): void {
  const count = boxes.count();
  if (count === 0) return console.log(`there are no boxes of the name ${boxes.name}`);
  console.log(`the machine itself is ${boxes.hostAddress} to its boxes; each has its folder at ${boxes.ownFolder}`);
  for (let box = 1; box <= count; box++) console.log(`box ${box}: ${boxes.addressOf(box)}, ${boxes.folderOf(box)}`);
}

function numberIn(words: readonly string[], at: number, max: number): number {
  const value = Number(words[at]);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new Error(`word ${at + 1} after the command must be a number from 1 to ${max}, not "${words[at] ?? ''}"`);
}

/** Returns the exit code of the command, which gets the signals that this process gets. */
async function runIn(boxes: Boxes, [box, ...words]: readonly string[]): Promise<number> {
  const given = words[0] === '--' ? words.slice(1) : words;
  if (given.length === 0) throw new Error('run: name a box and a command');
  const [program, ...rest] = [...boxes.prefixOf(Number(box)), ...given];
  const child = spawn(program!, rest, { stdio: 'inherit' });
  // A terminal sends its own to both.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

const usage = 'node ops/boxes.ts [--name skybox] up M | run BOX CMD… | cut A B | delay A B MS | mend | show | down';

async function main(args: string[]): Promise<number> {
  const at = args.findIndex((word) => !word.startsWith('--') && args[args.indexOf(word) - 1] !== '--name');
  const { values } = parseArgs({ args: args.slice(0, Math.max(0, at)), options: { name: { type: 'string' } } });
  const [command, ...words] = args.slice(Math.max(0, at));
  const boxes = new Boxes(values.name);
  const problem = problemWithBoxes();
  if (problem !== null) throw new Error(problem);
  const box = (index: number): number => numberIn(words, index, boxesMax);
  if (command === 'run') return await runIn(boxes, words);
  if (command === 'up') boxes.up(box(0));
  else if (command === 'cut') boxes.cut(box(0), box(1));
  else if (command === 'delay') boxes.delay(box(0), box(1), numberIn(words, 2, 60_000));
  else if (command === 'mend') boxes.mend();
  else if (command === 'down') boxes.down();
  else if (command !== 'show') throw new Error(usage);
  if (command === 'up' || command === 'show') show(boxes);
  return 0;
}

if (import.meta.main ?? process.argv[1] === import.meta.filename) {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (thrown) {
    console.error(`boxes: ${(thrown as Error).message}`);
    process.exitCode = 2;
  }
}
