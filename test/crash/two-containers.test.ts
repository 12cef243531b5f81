/** Two containers that were given one node's folder: one of them ends, and the data is whole. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RemoteLog } from '../../src/log/remote-log.ts';
import { parseShardMap, type ShardMap } from '../../src/shardmap/shard-map.ts';
import { decodeTexts, encodeTexts } from '../../src/wire/message.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { NodeClient } from '../../src/wire/node-client.ts';
import { freePort } from '../support/crash-cluster.ts';
import type { NodeChildSettings } from '../support/node-child-settings.ts';
import { recordOp } from '../support/record-op.ts';
import { projectRoot } from '../support/source-scan.ts';
import { until } from '../support/until.ts';

const script = join(projectRoot, 'test/support/node-child.ts');
/** Process ids of its own: the node is process 1 of them. */
const asUser = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
const container = ['unshare', ...asUser, '--pid', '--fork', '--kill-child', '--ipc', '--mount-proc'];
const posts = 'app.bsky.feed.post';
const timeoutMs = 10_000;

const contained: Contained[] = [];
let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'skyshard-containers-'));
});

afterEach(async () => {
  for (const each of contained.splice(0)) await each[Symbol.asyncDispose]();
  rmSync(dataDir, { recursive: true, force: true });
});

/** Node `n0` started by the words of a prefix, in the folder that all of them share. */
class Contained {
  readonly exit: Promise<number | null>;
  stderr = '';
  readonly #process: ChildProcess;
  readonly #client: NodeClient;
  readonly #log: RemoteLog;

  private constructor(child: ChildProcess, map: ShardMap) {
    this.#process = child;
    this.exit = once(child, 'exit').then(([code]) => code as number | null);
    child.stderr!.on('data', (text: Buffer) => {
      this.stderr += text.toString();
    });
    this.#client = new NodeClient({ map });
    this.#log = new RemoteLog({ caller: this.#client, map: () => map, lingerMs: 2 });
  }

  static async start(prefix: readonly string[]): Promise<Contained> {
    const port = await freePort();
    const shards = [{ name: 's0', primary: 'n0', slots: ['0-3'] }];
    const mapJson = { epoch: 1, slots: 4, nodes: { n0: { host: '127.0.0.1', port } }, shards };
    const settings: NodeChildSettings = {
      name: 'n0',
      mapJson,
      dataDir,
      port,
      slotMapBytes: 2 ** 28,
      crashPoint: null,
    };
    const [program, ...words] = [...prefix, process.execPath, script, JSON.stringify(settings)];
    const child = spawn(program!, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    const started = new Contained(child, parseShardMap(mapJson));
    contained.push(started);
    const isServing = await Promise.race([
      once(child.stdout!, 'data').then(() => true),
      started.exit.then(() => false),
    ]);
    if (!isServing) throw new Error(`a node did not start: ${started.stderr}`);
    return started;
  }

  post(rkey: string): Promise<void> {
    const record = { $type: posts, text: rkey, createdAt: '2025-01-01T00:00:00Z' };
    return this.#log.append('did:web:a.example', {
      kind: 'commit',
      did: 'did:web:a.example',
      rev: rkey,
      since: null,
      eventMs: 0,
      ops: [recordOp({ collection: posts, rkey }, record)],
    });
  }

  async has(rkey: string): Promise<boolean> {
    const payload = encodeTexts([`at://did:web:a.example/${posts}/${rkey}`]);
    const answer = await this.#client.call({ node: 'n0', method: nodeCalls.postRoots, payload, timeoutMs });
    return decodeTexts(answer)[0] !== '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#log[Symbol.asyncDispose]();
    await this.#client[Symbol.asyncDispose]();
    this.#process.kill('SIGKILL');
    await this.exit;
  }
}

it.each([
  ['outside', []],
  ['in another container', container],
])(
  'a node %s keeps a folder from one in a container, and goes on',
  async (_where, prefix) => {
    const first = await Contained.start(prefix);
    await first.post('3jzfcijpj2z2a');
    await expect(Contained.start(container)).rejects.toThrow(/a process listens on .*lock\.sock/);
    await first.post('3jzfcijpj2z2b');
    await until(() => first.has('3jzfcijpj2z2b'));
    expect(await first.has('3jzfcijpj2z2a')).toBe(true);
  },
  120_000,
);

it('of two that start together one keeps the folder from the other, and goes on', async () => {
  const outcomes = await Promise.allSettled([Contained.start([]), Contained.start(container)]);
  const started = outcomes.filter((outcome) => outcome.status === 'fulfilled').map(({ value }) => value);
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
  expect(started).toHaveLength(1);
  expect(String(refused[0]?.reason)).toMatch(/a process listens on .*lock\.sock/);
  await started[0]!.post('3jzfcijpj2z2a');
  await until(() => started[0]!.has('3jzfcijpj2z2a'));
}, 120_000);

it('of two writers of different process ids the first ends at its next write; the second goes on', async () => {
  const first = await Contained.start([]);
  await first.post('3jzfcijpj2z2a');
  await until(() => first.has('3jzfcijpj2z2a'));
  rmSync(join(dataDir, 'wire'), { recursive: true });
  const second = await Contained.start(container);
  await second.post('3jzfcijpj2z2b');
  await until(() => second.has('3jzfcijpj2z2b'));
  const unanswered = first.post('3jzfcijpj2z2c').catch(() => null);
  expect(await first.exit).toBe(70);
  expect(first.stderr).toContain('another process has written to slot');
  await second.post('3jzfcijpj2z2d');
  await until(() => second.has('3jzfcijpj2z2d'));
  expect(await second.has('3jzfcijpj2z2a')).toBe(true);
  expect(await second.has('3jzfcijpj2z2c')).toBe(false);
  await first[Symbol.asyncDispose]();
  await unanswered;
}, 120_000);

it('of two writers of equal process ids the second is refused by name; the first goes on', async () => {
  const first = await Contained.start(container);
  await first.post('3jzfcijpj2z2a');
  rmSync(join(dataDir, 'wire'), { recursive: true });
  await expect(Contained.start(container)).rejects.toThrow(/a process with the id 1, as this one has, uses it/);
  await first.post('3jzfcijpj2z2b');
  await until(() => first.has('3jzfcijpj2z2b'));
  expect(await first.has('3jzfcijpj2z2a')).toBe(true);
}, 120_000);
